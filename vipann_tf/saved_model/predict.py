"""Asking a SavedModel about audio files, here or on a server; nothing here needs Keras."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from vipann_tf.audio.decoding import DecodeError, read_audio
from vipann_tf.errors import UserError
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import (
    MAX_SAMPLES,
    MIN_SECONDS,
    read_labels,
    read_model_info,
    version_directory,
)
from vipann_tf.saved_model.server import RequestRefused, Server

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


class LocalModel:
    """The SavedModel of a model directory, loaded into this process."""

    def __init__(self, model: str | os.PathLike):
        self._loaded = load_signatures(model)

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What a signature answers, by name of the output."""
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        answer = self._loaded.signatures[signature](**inputs)
        return {name: value.numpy() for name, value in answer.items()}


class Predictor:
    """A model that answers for files.

    Args:
      model: Model directory; with a server, what it serves a copy of: labels and sample rate are here.
      samples, seed: Draws; by default those of the export.
      server: `HOST:PORT` of a TensorFlow Serving to ask instead of loading the model.
      deadline_s: Longest time for a request to the server.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        *,
        samples: int | None = None,
        seed: int | None = None,
        server: str | None = None,
        deadline_s: float = 60.0,
    ):
        self.info = read_model_info(model)
        self.labels = read_labels(model)
        # What was stored or shared at export is asked for as it is; a batching server takes no other.
        self._signature = "serving_default" if samples is None and seed is None else "monte_carlo"
        self._samples = self.info.samples if samples is None else samples
        self._seed = self.info.seed if seed is None else seed
        if not 1 <= self._samples <= MAX_SAMPLES:
            raise UserError(f"samples is {samples}; use 1 to {MAX_SAMPLES}")
        if server is None:
            self._model = LocalModel(model)
        else:
            self._model = Server(server, model_name(model), deadline_s=deadline_s)

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
        needed = self.info.fixed_seconds or MIN_SECONDS
        missing = round(needed * self.info.sample_rate_hz) - batch.shape[1]
        if missing < 0 and self.info.fixed_seconds:
            error = (
                f"it is {seconds:g} s long, and this model was exported for {needed:g} s; cut it, or "
                "export the model without --seconds"
            )
            for i in indices:
                answers[i] = Answer(str(paths[i]), error=error)
            return
        inputs = {"waveform": np.pad(batch, [(0, 0), (0, max(missing, 0))])}
        if self._signature == "monte_carlo":
            inputs |= {"num_samples": np.int32(self._samples), "seed": np.int64(self._seed)}
        try:
            result = self._model.ask(self._signature, inputs)
        except RequestRefused as error:
            for i in indices:
                answers[i] = Answer(str(paths[i]), error=str(error))
            return
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


def model_name(model: str | os.PathLike) -> str:
    """What a server calls a model unless told otherwise: the name of its directory."""
    version = version_directory(model).resolve()
    return version.parent.name if version.name.isdecimal() else version.name
