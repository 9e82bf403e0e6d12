"""The clips of the training that a sound is most like, to compare with by ear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.evaluation.clip_cards import sound_media
from vipann_tf.evaluation.model_under_test import BATCH
from vipann_tf.files.paths import StrPath
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.connection import Connection

__all__ = ["Neighbours"]

# Clips whose sound is kept in memory (640 MB of five seconds each); of others, names alone.
MAX_SOUNDS = 2_000


class Neighbours:
    """The training clips of a model.

    Args:
      connection: The model whose embeddings are compared.
      data: Dataset directory.
      splits: Splits of the training.
      on_progress: Called with the number of clips done and their total.
    """

    def __init__(
        self,
        connection: Connection,
        data: StrPath,
        splits: Sequence[str],
        on_progress: Callable[[int, int], None] | None = None,
    ):
        self._connection = connection
        dataset = read_dataset_info(data)
        total = dataset.count(splits)
        self._names: list[tuple[str, list[str]]] = []
        self._sounds: list[NDArray[np.int16]] = []
        embeddings = []
        for batch in evaluation_batches(data, splits, BATCH):
            waveforms = batch["waveform"].numpy()
            embeddings.append(connection.embed(waveforms))
            for name, labels in zip(batch["clip_id"].numpy(), batch["labels"].numpy(), strict=True):
                truth = [dataset.labels[i] for i in np.flatnonzero(labels)]
                self._names.append((name.decode(), truth))
            if len(self._sounds) < MAX_SOUNDS:
                self._sounds.extend(np.round(waveforms * 32768).astype(np.int16))
            if on_progress is not None:
                on_progress(len(self._names), total)
        self._units = _units(np.concatenate(embeddings))

    def of(self, waveform: NDArray[np.float32], count: int = 5) -> list[dict[str, Any]]:
        """Return the most similar clips, the most similar first.

        Args:
          waveform: float32 [samples] at the model's rate.
          count: How many.

        Returns:
          `clip_id`, `labels`, `similarity` (the cosine of the embeddings) and `sound` (a data URI,
          or `None`) of each.
        """
        cosines = self._units @ _units(self._connection.embed(waveform[np.newaxis]))[0]
        found = []
        for i in np.argsort(-cosines, kind="stable")[:count].tolist():
            name, labels = self._names[i]
            sound = None
            if i < len(self._sounds):
                sound = sound_media(self._sounds[i].astype(np.float32) / 32768)[2]
            found.append(
                {
                    "clip_id": name,
                    "labels": labels,
                    "similarity": float(cosines[i]),
                    "sound": sound,
                }
            )
        return found


def _units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: NDArray[np.float32] = rows / np.maximum(lengths, 1e-12)
    return units
