"""Answers of an exported model for audio files, without Keras."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.errors import DecodeError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.saved_model.connection import BATCH, Connection
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.server import RequestRefused

__all__ = ["Answer", "Predictor", "Refusal"]

# Files of several lengths wait for others of their length: so many, and so many samples of them.
_MAX_WAITING = 4 * BATCH
_MAX_WAITING_SAMPLES = 64_000_000  # 256 MB: half an hour


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
      notices: What is to be known of the file.
    """

    path: str
    seconds: float
    probabilities: NDArray[np.float32]
    label_aleatoric: NDArray[np.float32]
    label_epistemic: NDArray[np.float32]
    total: float
    aleatoric: float
    epistemic: float
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """The reason why a file has no answer.

    Attributes:
      path: The file.
      error: The reason.
    """

    path: str
    error: str


@dataclass
class _Waiting:
    """Files that were read and not answered, by their length in samples.

    Attributes:
      clips: Length -> position among the files, waveform and notices of each.
      files: Their number.
      samples: Their samples.
    """

    clips: dict[int, list[tuple[int, NDArray[np.float32], tuple[Notice, ...]]]] = field(
        default_factory=dict
    )
    files: int = 0
    samples: int = 0

    def add(self, i: int, waveform: NDArray[np.float32], notices: tuple[Notice, ...]) -> int:
        """Add a file, and return how many there are of its length."""
        alike = self.clips.setdefault(len(waveform), [])
        alike.append((i, waveform, notices))
        self.files += 1
        self.samples += len(waveform)
        return len(alike)

    def take(self, length: int) -> list[tuple[int, NDArray[np.float32], tuple[Notice, ...]]]:
        """Remove the files of a length."""
        alike = self.clips.pop(length)
        self.files -= len(alike)
        self.samples -= length * len(alike)
        return alike

    @property
    def oldest(self) -> int:
        """The length that has waited for longest."""
        return min(self.clips, key=lambda length: self.clips[length][0][0])

    @property
    def full(self) -> bool:
        """Whether an answer is due."""
        return self.files >= _MAX_WAITING or self.samples >= _MAX_WAITING_SAMPLES


class Predictor:
    """A model that answers for audio files.

    Args:
      connection: The model, from `connect`.
      channel: What to hear of several channels.
      time_expansion: How many times to slow recordings down; by default as the model was trained.

    Raises:
      UserError: The model was trained on recordings of another time expansion.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        channel: Channel = "mix",
        time_expansion: float | None = None,
    ):
        self._connection = connection
        self._hearing = Hearing(connection.info, channel=channel, time_expansion=time_expansion)

    def answer(self, paths: Sequence[StrPath]) -> list[Answer | Refusal]:
        """Return an answer or a refusal for each file, in order; see `answers`."""
        return list(self.answers(paths))

    def answers(self, paths: Sequence[StrPath]) -> Iterator[Answer | Refusal]:
        """Yield an answer or a refusal for each file, in order, in bounded memory.

        Files of one length share requests, so an answer may come some files after it was read.

        Args:
          paths: Audio files.

        Raises:
          UserError: No server answers, or the SavedModel is damaged.
        """
        found: dict[int, Answer | Refusal] = {}
        waiting = _Waiting()
        given = 0
        for i, path in enumerate(paths):
            try:
                waveform = self._hearing.read(path)
            except DecodeError as error:
                found[i] = Refusal(str(path), str(error))
            else:
                if waiting.add(i, waveform, self._hearing.notices(path)) == BATCH:
                    found.update(self._ask(paths, waiting.take(len(waveform))))
                while waiting.full:
                    found.update(self._ask(paths, waiting.take(waiting.oldest)))
            while given in found:
                yield found.pop(given)
                given += 1
        while waiting.files:
            found.update(self._ask(paths, waiting.take(waiting.oldest)))
            while given in found:
                yield found.pop(given)
                given += 1

    def _ask(
        self,
        paths: Sequence[StrPath],
        clips: Sequence[tuple[int, NDArray[np.float32], tuple[Notice, ...]]],
    ) -> Iterator[tuple[int, Answer | Refusal]]:
        """Request answers for files of one length, given with their positions in `paths`."""
        batch = np.stack([waveform for _, waveform, _ in clips])
        try:
            result = self._connection.ask(batch)
        except RequestRefused as error:
            for i, _, _ in clips:
                yield i, Refusal(str(paths[i]), str(error))
            return
        heard_s = batch.shape[1] / self._connection.info.sample_rate_hz
        for row, (i, _, notices) in enumerate(clips):
            yield (
                i,
                Answer(
                    path=str(paths[i]),
                    seconds=heard_s / self._hearing.time_expansion,
                    probabilities=result["probabilities"][row],
                    label_aleatoric=result["label_aleatoric"][row],
                    label_epistemic=result["label_epistemic"][row],
                    total=float(result["total"][row]),
                    aleatoric=float(result["aleatoric"][row]),
                    epistemic=float(result["epistemic"][row]),
                    notices=notices,
                ),
            )
