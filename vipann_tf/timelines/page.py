"""A timeline as a page: one HTML file with its sound, without a network."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.image import imsave
from numpy.typing import NDArray

import vipann_tf
from vipann_tf.audio.decoding import Sound
from vipann_tf.evaluation.page_templates import data_block, page_environment, page_script
from vipann_tf.files.atomic import write_text
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.detections import Detection
from vipann_tf.timelines.picture import Lane, Picture
from vipann_tf.timelines.sound import (
    Stretch,
    fits,
    recording_beside,
    stretches,
    stretches_to_hear,
)
from vipann_tf.timelines.spectrogram import frequency_ticks
from vipann_tf.timelines.time_axis import clock_text
from vipann_tf.timelines.traces import Traces

__all__ = ["COLUMNS", "timeline_page", "write_page"]

# Columns of time, for zooming; a spectrogram of so many is an image that every browser draws.
COLUMNS = 8192
# Bounds that keep the page of any recording below 5 MB, with the sound's.
_VALUES = 800_000  # bytes of probabilities and bands, before base64
_MARKS = 15_000  # detections that are drawn one by one
_ROWS = 300  # detections in the table
_LEVELS = 64  # of the spectrogram, about a decibel each
# Steps of 1/254 of the full height; 255 is no value.
_FULL, _NONE = 254, 255


def write_page(picture: Picture, sound: Sound, path: StrPath) -> None:
    """Write a picture as a page.

    Args:
      picture: What it shows.
      sound: The recording.
      path: File to write.
    """
    places = stretches_to_hear(picture)
    heard = stretches(picture.heard.decoder(), sound, places)
    file = None if fits(picture.heard) else recording_beside(picture.heard, path)
    write_text(Path(path), timeline_page(picture, heard, file))


def timeline_page(picture: Picture, sound: list[Stretch], file: str | None = None) -> str:
    """Return the page of a picture.

    Args:
      picture: What it shows.
      sound: The sound that it holds.
      file: Address of the recording, seen from the page, see `sound.recording_beside`.
    """
    environment = page_environment("vipann_tf.timelines")
    script = page_script(environment, ("picture.js", "player.js"))
    picture = dataclasses.replace(picture, traces=_bounded(picture))
    found = picture.detections
    rows = sorted(found, key=lambda pair: -pair[1].probability)[:_ROWS]
    in_order = sorted(rows, key=lambda pair: (pair[1].start_s, pair[1].end_s, pair[0]))
    return environment.get_template("timeline.html").render(
        picture=picture,
        heard=picture.heard,
        whole=bool(sound) and fits(picture.heard),
        sound_s=sum(x.end_s - x.begin_s for x in sound),
        length=clock_text(picture.heard.seconds, digits=int(picture.heard.seconds < 600)),
        sound=sound,
        file=None if file is None else unquote(file),
        detections=len(found),
        joined=len(found) > _MARKS,
        rows=[_row(picture, label, x) for label, x in in_order],
        version=vipann_tf.__version__,
        data=data_block(_data(picture, sound, file)),
        script=script,
    )


def _bounded(picture: Picture) -> Traces:
    kinds = 3 if picture.traces.has_bands else 1
    return picture.traces.coarser(max(_VALUES // (kinds * max(len(picture.lanes), 1)), 1))


def _row(picture: Picture, label: str, found: Detection) -> dict[str, Any]:
    time = picture.clock(found.start_s)
    return {
        "label": label,
        "begin_s": found.start_s,
        "end_s": found.end_s,
        "begin": clock_text(found.start_s),
        "end": clock_text(found.end_s),
        "clock": "" if time is None else f"{time:%H:%M:%S}",
        "probability": found.probability,
        "epistemic": found.epistemic,
    }


def _data(picture: Picture, sound: list[Stretch], file: str | None) -> dict[str, Any]:
    """Return what the page's script reads."""
    heard, traces = picture.heard, picture.traces
    begin_ms = None
    if heard.begin is not None:
        # As if the recorder's clock were UTC, so that no browser moves it into its own zone.
        begin_ms = round(float(np.datetime64(heard.begin, "ms").astype(np.int64)))
    low_db, high_db = picture.range_db
    return {
        "name": Path(heard.name).stem,
        "seconds": heard.seconds,
        "begin_ms": begin_ms,
        "expansion": heard.time_expansion,
        "begin_s": _float32(traces.begin_s),
        "end_s": _float32(traces.end_s),
        "lanes": [
            {
                "label": lane.label,
                "words": lane.words,
                "threshold": None if np.isnan(lane.threshold) else lane.threshold,
                "found": bool(lane.detections),
                "marks": _marks(picture, lane),
                "probability": _bytes(traces.probabilities[:, i], 1.0),
                "low": _bytes(traces.low[:, i], 1.0) if traces.has_bands else None,
                "high": _bytes(traces.high[:, i], 1.0) if traces.has_bands else None,
            }
            for i, lane in enumerate(picture.lanes)
        ],
        "doubts": [_doubt(name, getattr(traces, name)) for name in ("epistemic", "aleatoric")],
        "log_mel": _image(picture.log_mel_db, low_db, high_db),
        "palette": [to_hex(colour) for colour in colormaps["magma"](np.linspace(0, 1, 256))],
        "bands": picture.log_mel_db.shape[1],
        "frequencies": frequency_ticks(heard.time_expansion),
        "sounds": [[x.begin_s, x.end_s, x.mime, x.data] for x in sound],
        "file": file,
        "rate_hz": heard.decoder().sample_rate_hz,
    }


def _marks(picture: Picture, lane: Lane) -> list[list[float]]:
    """Return begin, end and probability of the marks of a lane.

    If a recording has too many detections, those of a label that share a column are one mark.
    """
    marks = [[x.start_s, x.end_s, x.probability] for x in lane.detections]
    if sum(len(other.detections) for other in picture.lanes) > _MARKS:
        share = max(_MARKS // len(picture.lanes), 1)
        gap_s = picture.heard.seconds / share
        joined: list[list[float]] = []
        for begin_s, end_s, probability in marks:
            if joined and begin_s // gap_s == joined[-1][0] // gap_s:
                joined[-1][1] = max(joined[-1][1], end_s)
                joined[-1][2] = max(joined[-1][2], probability)
            else:
                joined.append([begin_s, end_s, probability])
        marks = joined
    return [[round(value, 3) for value in mark] for mark in marks]


def _doubt(name: str, values: NDArray[np.float32]) -> dict[str, Any]:
    most = max(float(values.max()), 1e-6)
    return {"name": name, "most": most, "values": _bytes(values, most)}


def _image(log_mel_db: NDArray[np.float32], low_db: float, high_db: float) -> str:
    """Return a grey PNG as a data URI: time to the right, low frequencies at the bottom."""
    buffer = io.BytesIO()
    shown = np.nan_to_num(log_mel_db, nan=low_db).T[::-1]
    imsave(buffer, shown, vmin=low_db, vmax=high_db, cmap=colormaps["gray"].resampled(_LEVELS))
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _float32(values: NDArray[np.float64]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _bytes(values: NDArray[np.float32], full: float) -> str:
    """Return numbers from 0 to `full` as bytes; `_NONE` for NaN."""
    known = np.isfinite(values)
    levels = np.rint(np.clip(np.where(known, values, 0) / full, 0, 1) * _FULL)
    levels = np.where(known, levels, _NONE).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode("ascii")
