"""What a model hears when in a long recording: its answers to sliding windows, one by one.

The recording streams through: memory is that of a few windows, however many hours it has.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vipann_tf.audio.decoding import duration_s
from vipann_tf.audio.windows import count_windows, sliding_windows
from vipann_tf.errors import UserError
from vipann_tf.saved_model.metadata import MAX_SAMPLES, MIN_SECONDS, read_labels, read_model_info
from vipann_tf.saved_model.predict import LocalModel, model_name
from vipann_tf.saved_model.server import RequestRefused, Server

__all__ = ["BAND", "Detection", "Detections", "Listener", "Window"]

# Windows that are asked about together, and so share their draws.
BATCH = 8
BAND = (0.05, 0.95)  # quantiles over draws: nine of ten networks say a probability between them


@dataclass(frozen=True)
class Window:
    """What a model says of one window; uncertainties in nats.

    Attributes:
      start_s, end_s: Where it lies in the recording.
      probabilities, label_aleatoric, label_epistemic: float32 [labels].
      low, high: Quantiles `BAND` of the probabilities over draws, float32 [labels].
      total, aleatoric, epistemic: Of the window.
    """

    start_s: float
    end_s: float
    probabilities: np.ndarray
    low: np.ndarray
    high: np.ndarray
    label_aleatoric: np.ndarray
    label_epistemic: np.ndarray
    total: float
    aleatoric: float
    epistemic: float


@dataclass(frozen=True)
class Detection:
    """A stretch of a recording in which a label is probable.

    Attributes:
      label: Index of the label.
      start_s, end_s: From the first window's begin to the last one's end.
      probability: The largest of its windows.
      epistemic: Of the label in that window, nats.
    """

    label: int
    start_s: float
    end_s: float
    probability: float
    epistemic: float


class Listener:
    """A loaded model directory that listens to recordings.

    Args:
      model: Model directory.
      window_s: Length of a window, in seconds.
      hop_s: From the begin of one window to the begin of the next.
      samples, seed: Draws; by default those of the export.
      server, deadline_s: As `Predictor` takes them.

    Raises:
      UserError: If a length or the number of draws is not allowed.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        *,
        window_s: float,
        hop_s: float,
        samples: int | None = None,
        seed: int | None = None,
        server: str | None = None,
        deadline_s: float = 60.0,
    ):
        info = read_model_info(model)
        self.labels = read_labels(model)
        if info.fixed_seconds is not None and window_s != info.fixed_seconds:
            raise UserError(
                f"window is {window_s:g} s; this model takes {info.fixed_seconds:g} s and nothing else"
            )
        if not MIN_SECONDS <= window_s < float("inf"):
            raise UserError(f"window is {window_s:g} s; use {MIN_SECONDS:g} s or more")
        if not 0.01 <= hop_s < float("inf"):
            raise UserError(f"hop is {hop_s:g} s; use 0.01 s or more")
        self._samples = info.samples if samples is None else samples
        if not 1 <= self._samples <= MAX_SAMPLES:
            raise UserError(f"samples is {samples}; use 1 to {MAX_SAMPLES}")
        self._seed = info.seed if seed is None else seed
        self._rate_hz = info.sample_rate_hz
        self._window_s, self._hop_s = window_s, hop_s
        self._least = round((info.fixed_seconds or MIN_SECONDS) * self._rate_hz)
        if server is None:
            self._model = LocalModel(model)
        else:
            self._model = Server(server, model_name(model), deadline_s=deadline_s)

    def listen(
        self, path: str | os.PathLike, on_progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Window]:
        """Answers for the windows of a recording, in order, while it is read.

        Args:
          path: Audio file.
          on_progress: Called with the windows answered and about how many there are.

        Raises:
          DecodeError: Where the file can't be read, or not to its end: after the windows before.
        """
        total = count_windows(duration_s(path), self._window_s, self._hop_s)
        done, waiting = 0, []

        def answers():
            nonlocal done
            yield from self._ask(waiting)
            done += len(waiting)
            waiting.clear()
            if on_progress is not None:
                on_progress(done, max(done, total))

        for place in sliding_windows(path, self._rate_hz, self._window_s, self._hop_s):
            waiting.append(place)
            if len(waiting) == BATCH:
                yield from answers()
        if waiting:
            yield from answers()

    def _ask(self, places: list[tuple[float, np.ndarray]]) -> Iterator[Window]:
        batch = np.stack([waveform for _, waveform in places])
        length = batch.shape[1] / self._rate_hz
        # A recording shorter than the network's least input is followed by silence.
        batch = np.pad(batch, [(0, 0), (0, max(self._least - batch.shape[1], 0))])
        inputs = {
            "waveform": batch,
            "num_samples": np.int32(self._samples),
            "seed": np.int64(self._seed),
        }
        try:
            result = self._model.ask("monte_carlo", inputs)
        except RequestRefused as error:
            raise UserError(f"the server refused a window of {length:g} s: {error}") from error
        low, high = np.quantile(result["sample_probabilities"], BAND, axis=1).astype(np.float32)
        for row, (start, _) in enumerate(places):
            yield Window(
                start,
                start + length,
                result["probabilities"][row],
                low[row],
                high[row],
                result["label_aleatoric"][row],
                result["label_epistemic"][row],
                *(float(result[kind][row]) for kind in ("total", "aleatoric", "epistemic")),
            )


class Detections:
    """Joins windows into the stretches in which a label reaches a probability.

    Windows of a label that overlap or touch are one stretch, also over a window between them that
    does not reach it.

    Args:
      threshold: Least probability.
    """

    def __init__(self, threshold: float):
        self._threshold = threshold
        self._ended: list[Detection] = []
        self._going: dict[int, Detection] = {}

    def add(self, window: Window) -> None:
        """Takes the next window in order of time."""
        for label in np.flatnonzero(window.probabilities >= self._threshold):
            label = int(label)
            start, probability = window.start_s, float(window.probabilities[label])
            epistemic = float(window.label_epistemic[label])
            earlier = self._going.get(label)
            # A thousandth of a millisecond: ends are rounded sums.
            if earlier is not None and window.start_s > earlier.end_s + 1e-6:
                self._ended.append(earlier)
            elif earlier is not None:
                start = earlier.start_s
                if earlier.probability >= probability:
                    probability, epistemic = earlier.probability, earlier.epistemic
            self._going[label] = Detection(label, start, window.end_s, probability, epistemic)

    def found(self) -> list[Detection]:
        """Returns the stretches by begin, then by label."""
        every = [*self._ended, *self._going.values()]
        return sorted(every, key=lambda d: (d.start_s, d.label))
