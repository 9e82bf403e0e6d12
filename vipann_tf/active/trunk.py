"""The trunk of a model: from waveforms to the pooled features that a new head is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.active.clips import Clips
from vipann_tf.evaluation.model_under_test import BATCH, ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.metadata import ModelInfo, read_model_info, single_network
from vipann_tf.scans.planning import model_fingerprint

__all__ = ["Trunk", "source_of"]


@dataclass(frozen=True)
class Trunk:
    """A model from which new heads start; it is read once.

    Its features are those of the posterior-mean network in float32: without dropout, as strategies
    det, det-flip and det-laplace use it.

    Attributes:
      path: The model directory.
      info: Its metadata.
      network: The network.
    """

    path: StrPath
    info: ModelInfo
    network: VIPANN

    @classmethod
    def open(cls, path: StrPath) -> Trunk:
        """Read a model directory.

        Raises:
          UserError: There is no model, or it is an ensemble.
        """
        single_network(read_model_info(path), path)
        network, info = load_model(path)
        assert isinstance(network, VIPANN)  # as `single_network` has checked
        return cls(path, info, network)

    @property
    def architecture(self) -> Architecture:
        """The network that the trunk belongs to."""
        return self.network.architecture

    def features(self, waveforms: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the pooled features of sounds, float32 [clips, 2048 x width].

        Args:
          waveforms: float32 [clips, samples] at the model's rate in [-1, 1], of 1 s or longer.
        """
        waveforms = tf.convert_to_tensor(waveforms, tf.float32)
        pooled = self.network.compiled_network.until("pooled", waveforms)
        return tf.cast(pooled, tf.float32).numpy()

    def clips(
        self,
        data: StrPath,
        splits: Sequence[str] = (),
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Clips:
        """Compute the features of a data set's clips; its labels may differ from the model's.

        Args:
          data: Dataset directory.
          splits: Names of splits; by default all.
          on_progress: Called with the number of clips done and their total.

        Raises:
          UserError: Model and data do not match, or a record is damaged.
        """
        dataset = ModelUnderTest.open(self.path).check(data, any_labels=True)
        names = dataset.check_splits(list(splits) or list(dataset.splits))
        ids, groups, features, labels = [], [], [], []
        with damage_as_user_error():
            for batch in evaluation_batches(data, names, BATCH, group=True):
                features.append(self.features(batch["waveform"]))
                labels.append(batch["labels"].numpy())
                ids += [name.decode() for name in batch["clip_id"].numpy()]
                groups += [name.decode() for name in batch["group"].numpy()]
                if on_progress is not None:
                    on_progress(len(ids), dataset.count(names))
        return Clips(
            np.array(ids),
            np.repeat(names, [dataset.splits[name].clips for name in names]),
            np.concatenate(features),
            np.concatenate(labels),
            source_of(self.path, dataset),
            np.array(groups) if len({*groups}) < len(groups) else None,
        )


def source_of(model: StrPath, dataset: DatasetInfo) -> str:
    """Return the `Clips.source` of a data set's clips, heard by a model."""
    return f"{model_fingerprint(model)} {dataset.fingerprint}"
