"""Answers of an exported model for sounds, without Keras."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Sound
from vipann_tf.audio.errors import DecodeError
from vipann_tf.notices import Notice
from vipann_tf.saved_model.connection import BATCH, Connection
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.server import RequestRefused

__all__ = ["Answer", "Embedding", "Predictor", "Refusal"]

Reply = TypeVar("Reply")
# What is to be known of a sound.
Notices = tuple[Notice, ...]

# Files of several lengths wait for others of their length: so many, and so many samples of them.
_MAX_WAITING = 4 * BATCH
_MAX_WAITING_SAMPLES = 64_000_000  # 256 MB: half an hour


@dataclass(frozen=True)
class Answer:
    """The answer of a model for one sound; uncertainties in nats.

    Attributes:
      path: The file, or the name of the sound.
      seconds: Length of the sound.
      probabilities: float32 `[labels]`.
      label_total: Total uncertainty of each label, float32 `[labels]`.
      label_aleatoric: Aleatoric uncertainty of each label, float32 `[labels]`.
      label_epistemic: Epistemic uncertainty of each label, float32 `[labels]`.
      total: Total uncertainty of the clip.
      aleatoric: Aleatoric part of `total`.
      epistemic: Epistemic part of `total`.
      notices: What is to be known of the sound.
      draws: Probabilities of each draw, float32 `[draws, labels]`, if they were asked for.
    """

    path: str
    seconds: float
    probabilities: NDArray[np.float32]
    label_total: NDArray[np.float32]
    label_aleatoric: NDArray[np.float32]
    label_epistemic: NDArray[np.float32]
    total: float
    aleatoric: float
    epistemic: float
    notices: Notices = ()
    draws: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Embedding:
    """The embedding of one sound.

    Attributes:
      path: The file, or the name of the sound.
      values: float32 `[size]`.
      notices: What is to be known of the sound.
    """

    path: str
    values: NDArray[np.float32]
    notices: Notices = ()


@dataclass(frozen=True)
class Refusal:
    """The reason why a sound has no answer.

    Attributes:
      path: The file, or the name of the sound.
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

    clips: dict[int, list[tuple[int, NDArray[np.float32], Notices]]] = field(default_factory=dict)
    files: int = 0
    samples: int = 0

    def add(self, i: int, waveform: NDArray[np.float32], notices: Notices) -> int:
        """Add a file, and return how many there are of its length."""
        alike = self.clips.setdefault(len(waveform), [])
        alike.append((i, waveform, notices))
        self.files += 1
        self.samples += len(waveform)
        return len(alike)

    def take(self, length: int) -> list[tuple[int, NDArray[np.float32], Notices]]:
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

    def answer(self, sounds: Sequence[Sound]) -> list[Answer | Refusal]:
        """Return an answer or a refusal for each sound, in order; see `answers`."""
        return list(self.answers(sounds))

    def answers(
        self, sounds: Sequence[Sound], *, each_draw: bool = False
    ) -> Iterator[Answer | Refusal]:
        """Yield an answer or a refusal for each sound, in order, in bounded memory.

        Sounds of one length share requests, so an answer may come some sounds after it was read.

        Args:
          sounds: Audio files, or samples in memory.
          each_draw: Whether to return the probabilities of every draw, too.

        Raises:
          UserError: No server answers, or the SavedModel is damaged.
        """
        return self._in_batches(sounds, functools.partial(self._answer, each_draw=each_draw))

    def embeddings(self, sounds: Sequence[Sound]) -> Iterator[Embedding | Refusal]:
        """Yield the embedding of each sound, or a refusal; as `answers` otherwise."""
        return self._in_batches(sounds, self._embed)

    def _in_batches(
        self,
        sounds: Sequence[Sound],
        ask: Callable[[NDArray[np.float32], Sequence[str], Sequence[Notices]], Sequence[Reply]],
    ) -> Iterator[Reply | Refusal]:
        """Yield what `ask` says of each sound; it gets sounds of one length, names and notices."""
        found: dict[int, Reply | Refusal] = {}
        waiting = _Waiting()
        given = 0

        def ask_for(length: int) -> None:
            numbers, waveforms, notices = zip(*waiting.take(length), strict=True)
            names = [str(sounds[i]) for i in numbers]
            try:
                found.update(zip(numbers, ask(np.stack(waveforms), names, notices), strict=True))
            except RequestRefused as error:
                refused = (Refusal(name, str(error)) for name in names)
                found.update(zip(numbers, refused, strict=True))

        for i, sound in enumerate(sounds):
            try:
                waveform = self._hearing.read(sound)
            except DecodeError as error:
                found[i] = Refusal(str(sound), str(error))
            else:
                if waiting.add(i, waveform, self._hearing.notices(sound)) == BATCH:
                    ask_for(len(waveform))
                while waiting.full:
                    ask_for(waiting.oldest)
            while given in found:
                yield found.pop(given)
                given += 1
        while waiting.files:
            ask_for(waiting.oldest)
            while given in found:
                yield found.pop(given)
                given += 1

    def _answer(
        self,
        batch: NDArray[np.float32],
        names: Sequence[str],
        notices: Sequence[Notices],
        *,
        each_draw: bool,
    ) -> list[Answer]:
        result = self._connection.ask(batch, each_draw=each_draw)
        heard_s = batch.shape[1] / self._connection.info.sample_rate_hz
        return [
            Answer(
                path=name,
                seconds=heard_s / self._hearing.time_expansion,
                probabilities=result["probabilities"][row],
                label_total=result["label_total"][row],
                label_aleatoric=result["label_aleatoric"][row],
                label_epistemic=result["label_epistemic"][row],
                total=float(result["total"][row]),
                aleatoric=float(result["aleatoric"][row]),
                epistemic=float(result["epistemic"][row]),
                notices=notices[row],
                draws=result["sample_probabilities"][row] if each_draw else None,
            )
            for row, name in enumerate(names)
        ]

    def _embed(
        self, batch: NDArray[np.float32], names: Sequence[str], notices: Sequence[Notices]
    ) -> list[Embedding]:
        found = self._connection.embed(batch)
        return [Embedding(*parts) for parts in zip(names, found, notices, strict=True)]
