"""Answers of a model for the sliding windows of a long recording.

The recording is read as a stream; only a few windows are in memory at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Sound, duration_s
from vipann_tf.audio.errors import DecodeError
from vipann_tf.audio.windows import count_windows
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.saved_model.connection import BATCH, Connection
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.metadata import MIN_SECONDS
from vipann_tf.saved_model.server import RequestRefused

__all__ = ["BAND", "Listener", "Window"]

BAND = (0.05, 0.95)  # quantiles over draws: nine of ten draws give a probability between them


@dataclass(frozen=True)
class Window:
    """The answer of a model for one window; uncertainties in nats.

    Attributes:
      start_s: Start of the window in the recording, in seconds.
      end_s: End of the window, in seconds.
      probabilities: float32 `[labels]`.
      low: Lower quantile `BAND` of the probabilities over draws, float32 `[labels]`.
      high: Upper quantile, float32 `[labels]`.
      label_aleatoric: Aleatoric uncertainty of each label, float32 `[labels]`.
      label_epistemic: Epistemic uncertainty of each label, float32 `[labels]`.
      total: Total uncertainty of the window.
      aleatoric: Aleatoric part of `total`.
      epistemic: Epistemic part of `total`.
    """

    start_s: float
    end_s: float
    probabilities: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    label_aleatoric: NDArray[np.float32]
    label_epistemic: NDArray[np.float32]
    total: float
    aleatoric: float
    epistemic: float


class Listener:
    """A model that answers for recordings.

    Args:
      connection: The model, from `connect`.
      window_s: Length of a window, in seconds.
      hop_s: Time from the start of one window to the start of the next, in seconds.
      channel: What to hear of several channels.
      time_expansion: How many times to slow recordings down; by default as the model was trained.
        Window and hop are seconds of the recording.

    Attributes:
      window_s: As given, and so the others.
      hop_s: Time between windows.
      channel: What is heard of several channels.

    Raises:
      UserError: A length is not allowed, or the model was trained on recordings of another time
        expansion.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        window_s: float,
        hop_s: float,
        channel: Channel = "mix",
        time_expansion: float | None = None,
    ):
        self._hearing = Hearing(connection.info, channel=channel, time_expansion=time_expansion)
        slow = self.time_expansion
        fixed_s = connection.info.fixed_seconds
        if fixed_s is not None and window_s * slow != fixed_s:
            raise UserError(f"window is {window_s:g} s; this model takes only {fixed_s / slow:g} s")
        if not MIN_SECONDS <= window_s * slow < float("inf"):
            raise UserError(f"window is {window_s:g} s; use {MIN_SECONDS / slow:g} s or more")
        if not 0.01 <= hop_s < float("inf"):
            raise UserError(f"hop is {hop_s:g} s; use 0.01 s or more")
        self._connection = connection
        self.window_s, self.hop_s, self.channel = window_s, hop_s, channel

    @property
    def time_expansion(self) -> float:
        """How many times recordings are slowed down."""
        return self._hearing.time_expansion

    def listen(
        self, path: Sound, on_progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Window]:
        """Yield the answers for the windows of a recording in order, while reading it.

        Args:
          path: Audio file, or samples in memory.
          on_progress: Called with the number of answered windows and the approximate total.

        Raises:
          DecodeError: The file can't be read, perhaps only after the first windows.
          UserError: The server refuses a window or does not answer.
        """
        total = count_windows(duration_s(path), self.window_s, self.hop_s)
        done = 0
        for places in self._batches(path):
            yield from self._ask(places)
            done += len(places)
            if on_progress is not None:
                on_progress(done, max(done, total))

    def notices(self, path: Sound) -> tuple[Notice, ...]:
        """Return what is to be known of the recording, once it was listened to."""
        return self._hearing.notices(path)

    def _batches(self, path: Sound) -> Iterator[list[tuple[float, NDArray[np.float32]]]]:
        """Yield the start and waveform of up to `BATCH` windows at a time."""
        waiting: list[tuple[float, NDArray[np.float32]]] = []
        try:
            for place in self._hearing.windows(path, self.window_s, self.hop_s):
                waiting.append(place)
                if len(waiting) == BATCH:
                    yield waiting
                    waiting = []
        except DecodeError:
            if waiting:  # what was heard before the damage
                yield waiting
            raise
        if waiting:
            yield waiting

    def _ask(self, places: list[tuple[float, NDArray[np.float32]]]) -> Iterator[Window]:
        batch = np.stack([waveform for _, waveform in places])
        heard_s = batch.shape[1] / self._connection.info.sample_rate_hz
        length_s = heard_s / self._hearing.time_expansion
        try:
            result = self._connection.ask(batch, each_draw=True)
        except RequestRefused as error:
            raise UserError(f"the server refused a window of {length_s:g} s: {error}") from error
        low, high = np.quantile(result["sample_probabilities"], BAND, axis=1).astype(np.float32)
        for row, (start_s, _) in enumerate(places):
            yield Window(
                start_s=start_s,
                end_s=start_s + length_s,
                probabilities=result["probabilities"][row],
                low=low[row],
                high=high[row],
                label_aleatoric=result["label_aleatoric"][row],
                label_epistemic=result["label_epistemic"][row],
                total=float(result["total"][row]),
                aleatoric=float(result["aleatoric"][row]),
                epistemic=float(result["epistemic"][row]),
            )
