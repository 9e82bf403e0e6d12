"""The clips that people are asked to label, in order: windows of a scan, or clips of a data set."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import Decoder
from vipann_tf.evaluation.model_under_test import BATCH
from vipann_tf.evaluation.rank import Ranked
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import is_remote
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.saved_model.metadata import ModelInfo
from vipann_tf.scans.clips import plain_name
from vipann_tf.scans.ranking import RankedWindow
from vipann_tf.scans.recordings import opened

__all__ = ["Place", "QueuedClip", "queue_of_clips", "queue_of_windows", "read_place"]

CLIPS = "clips"
# File of the journal, begin and end in seconds.
Place: TypeAlias = tuple[str, float | None, float | None]


@dataclasses.dataclass(frozen=True)
class QueuedClip:
    """A clip to be heard.

    Attributes:
      name: What the page calls it.
      filename: The file of the journal, absolute or relative to the journal's directory.
      start_s, end_s: The clip's part of that file, in seconds; `None` for all of it.
      time: Time of day, aware if in UTC; `None` if it is unknown.
      score: What it was ranked by.
      read: Returns the waveform, float32 [samples] at the model's rate.
      keep: Makes sure that `filename` is there for `prepare csv`, before an answer is written.
    """

    name: str
    filename: str
    start_s: float | None
    end_s: float | None
    time: datetime.datetime | None
    score: float
    read: Callable[[], NDArray[np.float32]]
    keep: Callable[[], None]

    @property
    def place(self) -> Place:
        """By what the journal knows it."""
        return self.filename, self.start_s, self.end_s


def read_place(
    place: Place, info: ModelInfo, *, channel: Channel = "mix", folder: StrPath = ""
) -> NDArray[np.float32]:
    """Read a part of a recording, float32 [samples] at the model's rate.

    Args:
      place: File, and begin and end in seconds.
      info: Metadata of the model.
      channel: What to hear of several channels.
      folder: Where relative files are.

    Raises:
      DecodeError: It can't be read.
    """
    filename, start_s, end_s = place
    decoder = Decoder(info.sample_rate_hz, channel=channel, time_expansion=info.time_expansion)
    offset_s = start_s or 0.0
    length_s = None if end_s is None else end_s - offset_s
    path = filename if is_remote(filename) else os.path.join(folder, filename)
    with opened(path) as file:
        return decoder.read(file, offset_s=offset_s, duration_s=length_s)


def queue_of_windows(
    ranked: Sequence[RankedWindow], settings: Mapping[str, Any], info: ModelInfo
) -> list[QueuedClip]:
    """Return the clips of ranked windows of a scan.

    Args:
      ranked: The windows, see `rank_windows`.
      settings: Those of the scan.
      info: Metadata of the model.
    """
    return [
        QueuedClip(
            name=os.path.basename(window.recording),
            filename=window.recording,
            # As the journal writes them, so that an answer is found again.
            start_s=round(window.start_s, 3),
            end_s=round(window.end_s, 3),
            time=window.time,
            score=window.score,
            read=functools.partial(
                read_place,
                (window.recording, window.start_s, window.end_s),
                info,
                channel=settings["channel"],
            ),
            keep=lambda: None,
        )
        for window in ranked
    ]


def queue_of_clips(
    ranked: Sequence[Ranked], by: str, data: StrPath, info: ModelInfo, out: StrPath
) -> list[QueuedClip]:
    """Return ranked clips of a dataset directory.

    Its records don't say where their files are, so a clip that is answered is written beside the
    journal, as `clips/NAME.flac`, of 16 bits as the records.

    Args:
      ranked: The clips, see `evaluation.rank`.
      by: What they are ranked by.
      data: Dataset directory.
      info: Metadata of the model.
      out: Directory of the journal.
    """
    waveforms = _waveforms(data, [(clip.split, clip.clip_id) for clip in ranked])

    def keeper(name: str, waveform: NDArray[np.int16]) -> Callable[[], None]:
        def keep() -> None:
            path = os.path.join(out, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.exists(path):
                # Slowed recordings keep their own rate, by which `prepare` slows them again.
                rate_hz = round(info.sample_rate_hz * info.time_expansion)
                draft = f"{path}.{os.getpid()}.draft"
                soundfile.write(draft, waveform, rate_hz, subtype="PCM_16", format="FLAC")
                os.replace(draft, path)

        return keep

    queue = []
    for number, clip in enumerate(ranked):
        waveform = waveforms[clip.split, clip.clip_id]
        name = f"{CLIPS}/{clip.split}_{_own_name(clip.clip_id)}.flac"
        queue.append(
            QueuedClip(
                name=clip.clip_id,
                filename=name,
                start_s=None,
                end_s=None,
                time=None,
                score=float(getattr(ranked[number], by)),
                read=functools.partial(_float, waveform),
                keep=keeper(name, waveform),
            )
        )
    return queue


def _waveforms(
    data: StrPath, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], NDArray[np.int16]]:
    """Read some clips of a dataset directory, by split and clip_id."""
    found = {}
    for split in dict.fromkeys(split for split, _ in wanted):
        ids = {clip_id for of, clip_id in wanted if of == split}
        for batch in evaluation_batches(data, [split], BATCH):
            names = [name.decode() for name in batch["clip_id"].numpy()]
            for name, waveform in zip(names, batch["waveform"].numpy(), strict=True):
                if name in ids:
                    found[split, name] = np.round(waveform * 32768).astype(np.int16)
    return found


def _float(waveform: NDArray[np.int16]) -> NDArray[np.float32]:
    return np.divide(waveform, 32768, dtype=np.float32)


def _own_name(clip_id: str) -> str:
    """Return a name that every file system takes and no other clip has."""
    plain = plain_name(clip_id)
    if plain == clip_id:
        return plain
    return f"{plain}-{hashlib.blake2b(clip_id.encode(), digest_size=4).hexdigest()}"
