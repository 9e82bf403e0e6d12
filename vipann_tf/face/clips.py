"""The clips of a dataset directory, for your own code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vipann_tf.files.paths import StrPath
from vipann_tf.records.schema import CLIP_ID, LABELS, WAVEFORM, read_dataset_info

__all__ = ["LabelledClip", "read_clips"]

_BATCH = 16


class LabelledClip(NamedTuple):
    """A clip of a dataset directory.

    Attributes:
      clip_id, split: Which one it is.
      waveform: float32 `[samples]` in [-1, 1), at the `sample_rate_hz` of the dataset.
      labels: Its label names; one if the task is multiclass.
    """

    clip_id: str
    split: str
    waveform: NDArray[np.float32]
    labels: tuple[str, ...]


def read_clips(data: StrPath, splits: Sequence[str] = ()) -> Iterator[LabelledClip]:
    """Return an iterator over the clips of a dataset directory, in the order of its shards.

    Args:
      data: Dataset directory.
      splits: Splits to read, in this order; by default all.

    Raises:
      UserError: There is no such directory or split; or, while it is read, a record is damaged.
    """
    info = read_dataset_info(data)
    return _clips(data, info.check_splits(splits or list(info.splits)), info.labels)


def _clips(data: StrPath, splits: list[str], names: list[str]) -> Iterator[LabelledClip]:
    from vipann_tf.records.pipeline import evaluation_batches
    from vipann_tf.records.reading import damage_as_user_error

    for split in splits:
        with damage_as_user_error():
            for batch in evaluation_batches(data, [split], _BATCH).as_numpy_iterator():
                for key, waveform, present in zip(
                    batch[CLIP_ID], batch[WAVEFORM], batch[LABELS], strict=True
                ):
                    labels = tuple(names[i] for i in np.flatnonzero(present))
                    yield LabelledClip(key.decode(), split, waveform, labels)
