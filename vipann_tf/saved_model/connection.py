"""A connection to an exported model, in this process or on a server."""

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vipann_tf.audio.scale import check_scale
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import (
    MAX_DRAWS,
    ModelInfo,
    check_draws,
    read_labels,
    read_model_info,
    version_directory,
)
from vipann_tf.saved_model.server import RequestRefused, Server

__all__ = ["BATCH", "Connection", "LocalModel", "chosen_draws", "connect", "model_name"]

# Largest number of waveforms of one length in a request; they share its draws.
BATCH = 8

Arrays = dict[str, NDArray[Any]]


class Endpoint(Protocol):
    """An object that answers the signatures of a SavedModel."""

    def ask(self, signature: str, inputs: Arrays) -> Arrays:
        """Return the outputs of a signature by name."""


class LocalModel:
    """The SavedModel of a model directory, loaded into this process at the first request.

    Args:
      model: Model directory.
      trust: Whether its graph may do more than compute.
    """

    def __init__(self, model: StrPath, *, trust: bool = False):
        self._path, self._trust = model, trust

    def ask(self, signature: str, inputs: Arrays) -> Arrays:
        """Return the outputs of a signature by name."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = self._loaded.signatures[signature](**tensors)
        return {name: value.numpy() for name, value in outputs.items()}

    @functools.cached_property
    def _loaded(self) -> Any:
        return load_signatures(self._path, trust=self._trust)


@dataclass(frozen=True)
class Connection:
    """A model that answers requests; `connect` makes one.

    Attributes:
      info: Metadata of the model.
      labels: Label names in the order of the outputs.
      num_draws: Number of draws.
      seed: Seed of the draws.
      endpoint: Answers the signatures.
    """

    info: ModelInfo
    labels: list[str]
    num_draws: int
    seed: int
    endpoint: Endpoint

    def ask(self, waveforms: NDArray[np.float32], *, each_draw: bool = False) -> Arrays:
        """Answer waveforms of one length.

        Waveforms that are too short for the model are padded with silence.

        Args:
          waveforms: float32 `[batch, samples]` in [-1, 1], at `info.sample_rate_hz`.
          each_draw: Whether to return the probabilities of every draw, too.

        Returns:
          `probabilities`, `label_total`, `label_aleatoric` and `label_epistemic`, float32
          `[batch, labels]`; `total`, `aleatoric` and `epistemic`, float32 `[batch]`, in nats; with
          `each_draw` also `sample_probabilities`, float32 `[batch, draws, labels]`.

        Raises:
          RequestRefused: The waveforms are too long for the model or not in units of full scale,
            or the server refuses them.
          UserError: No server answers.
        """
        inputs: Arrays = {"waveform": self._fitted(waveforms)}
        exported = (self.num_draws, self.seed) == (self.info.num_draws, self.info.seed)
        # `serving_default` uses stored draws, and has no scalar inputs, which a batching server
        # would refuse.
        if exported and not each_draw:
            return self.endpoint.ask("serving_default", inputs)
        inputs["num_samples"] = np.array(self.num_draws, np.int32)
        inputs["seed"] = np.array(self.seed, np.int64)
        return self.endpoint.ask("monte_carlo", inputs)

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings of waveforms of one length by the posterior-mean network.

        Args:
          waveforms: As in `ask`; those that are too short are padded in the same way.

        Returns:
          float32 `[batch, size]`.

        Raises:
          RequestRefused: As in `ask`.
          UserError: As in `ask`.
        """
        found: NDArray[np.float32] = self.endpoint.ask(
            "embed", {"waveform": self._fitted(waveforms)}
        )["embedding"]
        return found

    def _fitted(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pad waveforms that are too short for the model; refuse those that it can't take."""
        sample_rate_hz, fixed_s = self.info.sample_rate_hz, self.info.fixed_seconds
        missing = round(self.info.least_seconds * sample_rate_hz) - waveforms.shape[1]
        if fixed_s and missing < 0:
            raise RequestRefused(
                f"it is {waveforms.shape[1] / sample_rate_hz:g} s long, and this model was "
                f"exported for {fixed_s:g} s; cut it, or export the model without --seconds"
            )
        try:
            check_scale(waveforms)  # models of earlier versions don't
        except ValueError as error:
            raise RequestRefused(str(error)) from error
        return np.pad(waveforms, [(0, 0), (0, missing)]) if missing > 0 else waveforms


def connect(
    model: StrPath,
    *,
    num_draws: int | None = None,
    seed: int | None = None,
    server: str | None = None,
    deadline_s: float = 60.0,
    trust: bool = False,
) -> Connection:
    """Connect to a model in this process or on a server.

    Args:
      model: Model directory; with a server, a copy of the served one, for labels and sample rate.
      num_draws: Number of draws; by default that of the export.
      seed: Seed of the draws; by default that of the export.
      server: `HOST:PORT` of a TensorFlow Serving to use instead of loading the model.
      deadline_s: Longest time for a request to the server, in seconds.
      trust: Whether the graph of the model may do more than compute, such as read and write files.
        By default such a model is refused when it is first asked, before it is loaded.

    Raises:
      UserError: There is no model, or an argument is not allowed.
    """
    info = read_model_info(model)
    num_draws, seed = chosen_draws(info, num_draws, seed, model)
    endpoint: Endpoint = (
        LocalModel(model, trust=trust)
        if server is None
        else Server(server, model_name(model), deadline_s=deadline_s)
    )
    return Connection(info, read_labels(model), num_draws, seed, endpoint)


def chosen_draws(
    info: ModelInfo, num_draws: int | None, seed: int | None, model: StrPath
) -> tuple[int, int]:
    """Return number and seed of the draws: those asked for, or else those of the export.

    Args:
      info: Metadata of the model.
      num_draws: Number of draws, or `None`.
      seed: Seed of the draws, or `None`.
      model: The model in messages.

    Raises:
      UserError: A value is no whole number or not allowed, or the model can't make these draws.
    """
    numbers = {"num_draws": num_draws, "seed": seed}
    for name, value in numbers.items():
        if value is None:
            numbers[name] = getattr(info, name)
        elif isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise UserError(f"{name} is {value!r}; it must be a whole number")
    chosen, seed = int(numbers["num_draws"] or 0), int(numbers["seed"] or 0)
    if not 1 <= chosen <= MAX_DRAWS:
        raise UserError(f"num_draws is {chosen}; use 1 to {MAX_DRAWS}")
    if not -(2**63) <= seed < 2**63:
        raise UserError(f"seed is {seed}; it must be an integer of 64 bits")
    check_draws(info, chosen, seed, model)
    return chosen, seed


def model_name(model: StrPath) -> str:
    """Return the default name of a model on a server: the name of its directory."""
    version = version_directory(model).resolve()
    return version.parent.name if version.name.isdecimal() else version.name
