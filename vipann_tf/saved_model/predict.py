"""Asking a SavedModel about audio files; nothing here needs Keras or TensorFlow Probability."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.audio.decoding import DecodeError, read_audio
from vipann_tf.errors import UserError
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import MAX_SAMPLES, MIN_SECONDS, read_info, read_labels

# Files of one length that are asked about together, and so share their draws.
BATCH = 8


@dataclass(frozen=True)
class Answer:
    """What a model says of one file.

    Attributes:
      path: The file.
      error: Why it has no answer, or `None`; the other fields are then empty.
      seconds: Its length.
      probabilities, label_aleatoric, label_epistemic: float32 [labels].
      total, aleatoric, epistemic: Of the clip, in nats.
    """

    path: str
    error: str | None = None
    seconds: float = 0.0
    probabilities: np.ndarray | None = None
    label_aleatoric: np.ndarray | None = None
    label_epistemic: np.ndarray | None = None
    total: float = 0.0
    aleatoric: float = 0.0
    epistemic: float = 0.0


class Predictor:
    """A loaded model directory that answers for files.

    Args:
      model: Model directory.
      samples, seed: Draws; by default those of the export.
    """

    def __init__(self, model: str | os.PathLike, *, samples: int | None = None, seed: int | None = None):
        self.info = read_info(model)
        self.labels = read_labels(model)
        self._samples = self.info.samples if samples is None else samples
        self._seed = self.info.seed if seed is None else seed
        if not 1 <= self._samples <= MAX_SAMPLES:
            raise UserError(f"samples is {samples}; use 1 to {MAX_SAMPLES}")
        self._loaded = load_signatures(model)

    def answer(self, paths: Sequence[str | os.PathLike]) -> list[Answer]:
        """An answer for each file, in order; one that cannot be read has an `error`."""
        answers: list[Answer | None] = [None] * len(paths)
        waiting: dict[int, list[tuple[int, np.ndarray]]] = {}
        for i, path in enumerate(paths):
            try:
                waveform = read_audio(path, self.info.sample_rate_hz)
            except DecodeError as error:
                answers[i] = Answer(str(path), error=str(error))
                continue
            alike = waiting.setdefault(len(waveform), [])
            alike.append((i, waveform))
            if len(alike) == BATCH:
                self._ask(paths, waiting.pop(len(waveform)), answers)
        for alike in waiting.values():
            self._ask(paths, alike, answers)
        return answers

    def _ask(self, paths, clips: Iterable[tuple[int, np.ndarray]], answers: list) -> None:
        indices, waveforms = zip(*clips)
        batch = np.stack(waveforms)
        seconds = batch.shape[1] / self.info.sample_rate_hz
        # A file shorter than the network's least input is followed by silence.
        missing = int(MIN_SECONDS * self.info.sample_rate_hz) - batch.shape[1]
        batch = np.pad(batch, [(0, 0), (0, max(missing, 0))])
        result = self._loaded.signatures["monte_carlo"](
            waveform=tf.constant(batch),
            num_samples=tf.constant(self._samples),
            seed=tf.constant(self._seed, tf.int64),
        )
        result = {name: value.numpy() for name, value in result.items()}
        for row, i in enumerate(indices):
            answers[i] = Answer(
                str(paths[i]),
                seconds=seconds,
                probabilities=result["probabilities"][row],
                label_aleatoric=result["label_aleatoric"][row],
                label_epistemic=result["label_epistemic"][row],
                total=float(result["total"][row]),
                aleatoric=float(result["aleatoric"][row]),
                epistemic=float(result["epistemic"][row]),
            )
