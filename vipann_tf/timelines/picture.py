"""What a picture of a timeline shows, whatever it is drawn with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Decoder, Sound
from vipann_tf.errors import UserError
from vipann_tf.saved_model.detections import Detection, Detector
from vipann_tf.saved_model.timeline import BAND, Window
from vipann_tf.timelines.spectrogram import spectrogram
from vipann_tf.timelines.traces import TraceColumns, Traces

__all__ = ["Heard", "Lane", "Picture", "PictureBuilder"]

# Labels that were not detected and came nearest to it.
NEAREST = 3
# Rounding of hops.
_TOUCHING_S = 1e-6


@dataclasses.dataclass(frozen=True)
class Heard:
    """A recording, and how a model heard it.

    Attributes:
      path: Its path or address, as it is shown.
      seconds: Its length.
      window_s: Length of a window.
      hop_s: Time from one window to the next.
      labels: Label names in the order of the outputs.
      thresholds: Least probability of a detection of each, float32 [labels]; NaN never detects.
      channel: What was heard of several channels.
      time_expansion: How many times it was slowed down.
      begin: When it began, by the clock that is shown; `None` if that is not known.
      zone: Whose clock that is; `None` without a begin.
      remarks: What else is to be known, in sentences.
    """

    path: str
    seconds: float
    window_s: float
    hop_s: float
    labels: Sequence[str]
    thresholds: NDArray[np.float32]
    channel: Channel = "mix"
    time_expansion: float = 1.0
    begin: datetime | None = None
    zone: Literal["local", "UTC"] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, as it is shown."""
        return _shown(os.path.basename(self.path))

    @property
    def shown_path(self) -> str:
        """The path, as it is shown."""
        return _shown(self.path)

    def decoder(self) -> Decoder:
        """Return what reads the recording as the front end of the model hears it."""
        from vipann_tf.audio.logmel import SAMPLE_RATE_HZ

        return Decoder(SAMPLE_RATE_HZ, channel=self.channel, time_expansion=self.time_expansion)


def _shown(path: str) -> str:
    """Return a path in which bytes that are no text are written out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclasses.dataclass(frozen=True)
class Lane:
    """A label in a picture.

    Attributes:
      label: Its name.
      threshold: Least probability of a detection; NaN never detects.
      peak: Highest probability of any window.
      detections: All its detections, in order; none if it only came near.
    """

    label: str
    threshold: float
    peak: float
    detections: tuple[Detection, ...]

    @property
    def words(self) -> str:
        """What a person is told beside the label's name."""
        count = len(self.detections)
        if np.isnan(self.threshold):
            found = "no threshold: never detected"
        elif count:
            found = f"{count:,} detection{'s' if count > 1 else ''}"
        else:
            found = "not detected"
        return f"{found}, highest {100 * self.peak:.0f} %"


@dataclasses.dataclass(frozen=True)
class Picture:
    """What is drawn.

    Attributes:
      heard: The recording.
      lanes: Every label that was detected, highest peak first, and then the few others that came
        nearest.
      traces: Steps of the labels of the lanes, in their order.
      log_mel_db: Decibels, float32 [columns, bands], see `spectrogram`.
      peaks_s: Where each lane's probability is highest, in seconds.
    """

    heard: Heard
    lanes: tuple[Lane, ...]
    traces: Traces
    log_mel_db: NDArray[np.float32]
    peaks_s: tuple[float, ...]

    @property
    def detections(self) -> list[tuple[str, Detection]]:
        """Label and detection, in order of time."""
        found = [(lane.label, x) for lane in self.lanes for x in lane.detections]
        return sorted(found, key=lambda pair: (pair[1].start_s, pair[1].end_s, pair[0]))

    @property
    def range_db(self) -> tuple[float, float]:
        """Decibels that are drawn darkest and brightest: 70 dB below nearly the loudest column."""
        heard = self.log_mel_db[np.isfinite(self.log_mel_db).all(axis=1)]
        loudest = float(np.quantile(heard.max(axis=1), 0.999)) if len(heard) else 0.0
        return loudest - 70.0, loudest

    @property
    def clock_words(self) -> str:
        """What the times of the axis are."""
        if self.heard.begin is None:
            return "time from the begin of the recording, whose time of day is not known"
        clock = "UTC" if self.heard.zone == "UTC" else "local time at the recorder"
        return f"time of day, {clock}; the recording began at {self.heard.begin:%Y-%m-%d %H:%M:%S}"

    @property
    def notes(self) -> list[str]:
        """How to read the picture, in sentences."""
        heard, found = self.heard, sum(bool(lane.detections) for lane in self.lanes)
        near = len(self.lanes) - found
        shown = f"the {near} of {len(heard.labels)} labels that came nearest"
        if found:
            which = f"all {found} labels that were" if found > 1 else "the one label that was"
            shown = f"{which} detected" + (f", and {shown}" if near else "")
        notes = [
            f"Lanes: {shown}. They reach from 0 to 100 %; a dashed line is a label's threshold.",
            "A bar below a lane is a detection: as long as the event probably was, which may be"
            " shorter than the windows that hold it.",
        ]
        if heard.window_s - heard.hop_s > _TOUCHING_S:
            notes.append(
                f"Windows of {heard.window_s:g} s, every {heard.hop_s:g} s: where two overlap, the"
                " step from one to the other is in the middle of their overlap."
            )
        else:
            notes.append(
                f"Windows of {heard.window_s:g} s, every {heard.hop_s:g} s: each step is one."
            )
        if self.traces.shared_s:
            notes.append(
                f"Windows share columns of about {self.traces.shared_s:.3g} s, which show the"
                " highest of each value."
            )
        if self.traces.has_bands:
            notes.append(f"Bands hold {100 * (BAND[1] - BAND[0]):.0f} % of the networks drawn.")
        if heard.time_expansion != 1:
            notes.append(
                f"The model hears the recording {heard.time_expansion:g} times slower; times are"
                " those of the recording."
            )
        return [*notes, *heard.remarks]

    def clock(self, seconds: float) -> datetime | None:
        """Return the time of day of a place in the recording, if it is known."""
        begin = self.heard.begin
        return None if begin is None else begin + timedelta(seconds=seconds)


class PictureBuilder:
    """A collector of windows in bounded memory, which gives a picture of them.

    Args:
      heard: The recording.
      columns: Columns into which time is divided.
    """

    def __init__(self, heard: Heard, columns: int):
        self._heard, self._columns = heard, columns
        self._traces = TraceColumns(len(heard.labels), heard.seconds, columns)
        self._detector = Detector(heard.thresholds, heard.hop_s)
        self._found: list[Detection] = []

    def add(self, window: Window) -> None:
        """Add the next window."""
        self._traces.add(window)
        self._found += self._detector.add(
            window.start_s, window.end_s, window.probabilities, window.label_epistemic
        )

    def picture(self, sound: Sound) -> Picture:
        """Return the picture, once all windows were added.

        Args:
          sound: The recording, of which the spectrogram is computed.

        Raises:
          UserError: There was no window.
          DecodeError: The recording can't be read.
        """
        if self._traces.is_empty:
            raise UserError("there is no window to draw; the recording gave none")
        self._found += self._detector.close()
        traces = self._traces.traces()
        peaks = self._traces.peaks
        by_label: dict[int, list[Detection]] = {}
        for found in sorted(self._found, key=lambda x: x.start_s):
            by_label.setdefault(found.label, []).append(found)
        order = [int(i) for i in np.argsort(-peaks, kind="stable")]
        near = [i for i in order if i not in by_label][:NEAREST]
        shown = [*(i for i in order if i in by_label), *near]
        heard = self._heard
        lanes = tuple(
            Lane(
                str(heard.labels[i]),
                float(heard.thresholds[i]),
                float(peaks[i]),
                tuple(by_label.get(i, ())),
            )
            for i in shown
        )
        log_mel_db = spectrogram(heard.decoder(), sound, heard.seconds, self._columns)
        peaks_s = tuple(float(self._traces.peak_s[i]) for i in shown)
        return Picture(heard, lanes, traces.of(shown), log_mel_db, peaks_s)
