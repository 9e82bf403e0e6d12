"""Answers of an exported model for audio files, without Keras."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.decoding import DecodeError, read_audio
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.connection import BATCH, Connection
from vipann_tf.saved_model.server import RequestRefused

__all__ = ["Answer", "Predictor", "Refusal"]


@dataclass(frozen=True)
class Answer:
    """The answer of a model for one file; uncertainties in nats.

    Attributes:
      path: The file.
      seconds: Length of the file.
      probabilities: float32 `[labels]`.
      label_aleatoric: Aleatoric uncertainty of each label, float32 `[labels]`.
      label_epistemic: Epistemic uncertainty of each label, float32 `[labels]`.
      total: Total uncertainty of the clip.
      aleatoric: Aleatoric part of `total`.
      epistemic: Epistemic part of `total`.
    """

    path: str
    seconds: float
    probabilities: NDArray[np.float32]
    label_aleatoric: NDArray[np.float32]
    label_epistemic: NDArray[np.float32]
    total: float
    aleatoric: float
    epistemic: float


@dataclass(frozen=True)
class Refusal:
    """The reason why a file has no answer.

    Attributes:
      path: The file.
      error: The reason.
    """

    path: str
    error: str


class Predictor:
    """A model that answers for audio files.

    Args:
      connection: The model, from `connect`.
    """

    def __init__(self, connection: Connection):
        self._connection = connection

    def answer(self, paths: Sequence[StrPath]) -> list[Answer | Refusal]:
        """Return an answer or a refusal for each file, in order.

        Args:
          paths: Audio files; files of one length share requests.

        Raises:
          UserError: No server answers, or the SavedModel is damaged.
        """
        found: dict[int, Answer | Refusal] = {}
        waiting: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
        for i, path in enumerate(paths):
            try:
                waveform = read_audio(path, self._connection.info.sample_rate_hz)
            except DecodeError as error:
                found[i] = Refusal(str(path), str(error))
                continue
            alike = waiting.setdefault(len(waveform), [])
            alike.append((i, waveform))
            if len(alike) == BATCH:
                found.update(self._ask(paths, waiting.pop(len(waveform))))
        for alike in waiting.values():
            found.update(self._ask(paths, alike))
        return [found[i] for i in range(len(paths))]

    def _ask(
        self, paths: Sequence[StrPath], clips: Sequence[tuple[int, NDArray[np.float32]]]
    ) -> Iterator[tuple[int, Answer | Refusal]]:
        """Request answers for files of one length, given with their positions in `paths`."""
        batch = np.stack([waveform for _, waveform in clips])
        try:
            result = self._connection.ask(batch)
        except RequestRefused as error:
            for i, _ in clips:
                yield i, Refusal(str(paths[i]), str(error))
            return
        for row, (i, _) in enumerate(clips):
            yield (
                i,
                Answer(
                    path=str(paths[i]),
                    seconds=batch.shape[1] / self._connection.info.sample_rate_hz,
                    probabilities=result["probabilities"][row],
                    label_aleatoric=result["label_aleatoric"][row],
                    label_epistemic=result["label_epistemic"][row],
                    total=float(result["total"][row]),
                    aleatoric=float(result["aleatoric"][row]),
                    epistemic=float(result["epistemic"][row]),
                ),
            )
