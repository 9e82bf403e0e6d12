"""Write one shard, clip after clip: the work of a preparation worker, here or on a cluster."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from vipann_tf.audio.errors import DecodeError
from vipann_tf.datasets.base import Clip, Rejection
from vipann_tf.files import storage
from vipann_tf.notices import Notice
from vipann_tf.records.clip_reading import ClipReader, ClipReading
from vipann_tf.records.schema import clip_samples, serialize, to_int16
from vipann_tf.records.tfrecord_file import RecordWriter

__all__ = [
    "CLIPS_SUFFIX",
    "RESULT_SUFFIX",
    "ShardJob",
    "ShardResult",
    "ShardWriter",
    "dump_clips",
    "load_clips",
]

# Suffixes of a shard's files in the work folder: its planned clips, and its outcome.
CLIPS_SUFFIX = ".clips"
RESULT_SUFFIX = ".result"

# A record is silent if no sample exceeds this int16 amplitude: about -80 dB of full scale.
SILENT_PEAK = 3
_SILENT = "no sample above -80 dB of full scale"
# A record is clipped if at least this many samples are at full scale. One or two are the peak of a
# normalised file. A resampled flat top overshoots and saturates, so it is counted as well.
CLIPPED_SAMPLES = 10

_FIELDS = operator.attrgetter(*(field.name for field in dataclasses.fields(Clip)))


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """The outcome of one shard, whose plan had `clips + len(rejected)` clips.

    `label_sets` counts the clips of each set of labels, as pairs (label indices, clips).
    """

    name: str
    split: str
    clips: int
    size_bytes: int
    digest: str
    label_counts: list[int]
    label_sets: list[tuple[list[int], int]]
    silent: int
    clipped: int
    rejected: list[Rejection]
    notices: list[Notice]

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> ShardResult:
        """Read what `to_json` returned."""
        fields = json.loads(text)
        fields["rejected"] = [Rejection(**row) for row in fields["rejected"]]
        fields["notices"] = [Notice(**row) for row in fields["notices"]]
        return cls(**fields)


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """What a worker needs to write any shard of a preparation.

    Attributes:
      splits: File name of each shard -> its split.
      stage: Directory to write the shards into.
      work: Directory with their planned clips; their outcomes are written there.
      labels: Label names in order.
      seconds: Clip length.
      sample_rate_hz: Sample rate.
      decode: See `Source.decode`.
      reading: How audio files are read.
    """

    splits: Mapping[str, str]
    stage: str
    work: str
    labels: tuple[str, ...]
    seconds: float
    sample_rate_hz: int
    decode: Callable[[Clip, int], np.ndarray] | None
    reading: ClipReading

    @property
    def names(self) -> Sequence[str]:
        """File names of the shards."""
        return list(self.splits)

    @property
    def counted(self) -> str:
        """Clips that are written."""
        return "ok"

    def run(self, name: str, on_step: Callable[[str], None]) -> None:
        """Write one shard, and then its outcome.

        Args:
          name: File name of the shard.
          on_step: Called after each clip with "ok" or the reason of its rejection.
        """
        clips = load_clips(storage.read_bytes(storage.join(self.work, name + CLIPS_SUFFIX)))
        path = storage.join(self.stage, name)
        result = ShardWriter(self).write(name, self.splits[name], clips, path, on_step)
        with storage.open_write(storage.join(self.work, name + RESULT_SUFFIX)) as file:
            file.write(result.to_json().encode())


class ShardWriter:
    """A writer of shards, which decodes clips.

    Args:
      job: The preparation.
    """

    def __init__(self, job: ShardJob):
        self._labels = {name: index for index, name in enumerate(job.labels)}
        self._samples = clip_samples(job.seconds, job.sample_rate_hz)
        self._rate_hz = job.sample_rate_hz
        self._decode = job.decode
        self._reader = ClipReader(job.reading, job.seconds, job.sample_rate_hz)

    def write(
        self,
        name: str,
        split: str,
        clips: Iterable[Clip],
        path: str,
        on_clip: Callable[[str], None],
    ) -> ShardResult:
        """Write one shard.

        Args:
          name: The shard's file name.
          split: Its split.
          clips: What to write, in order.
          path: Where to write it. The file appears only once it is whole.
          on_clip: Called after each clip with "ok" or the reason of its rejection.
        """
        counts = np.zeros(len(self._labels), np.int64)
        silent = clipped = 0
        rejected = []
        notices: list[Notice] = []
        sets: Counter[tuple[int, ...]] = Counter()
        with storage.open_write(path) as file:
            writer = RecordWriter(file)
            for clip in clips:
                try:
                    waveform, found = self.waveform(clip)
                except DecodeError as error:
                    rejected.append(Rejection(clip.path, clip.clip_id, error.reason, error.detail))
                    on_clip(error.reason)
                    continue
                notices += found
                labels = sorted({self._labels[label] for label in clip.labels})
                counts[labels] += 1
                sets[tuple(labels)] += 1
                if is_silent(waveform):
                    silent += 1
                    notices.append(Notice(clip.path, clip.clip_id, "silent", _SILENT))
                clipped += int(is_clipped(waveform))
                writer.write(serialize(clip.clip_id, waveform, labels, clip.group))
                on_clip("ok")
        return ShardResult(
            name=name,
            split=split,
            clips=writer.records,
            size_bytes=writer.size_bytes,
            digest=writer.digest,
            label_counts=counts.tolist(),
            label_sets=[(list(labels), count) for labels, count in sorted(sets.items())],
            silent=silent,
            clipped=clipped,
            rejected=rejected,
            notices=notices,
        )

    def waveform(self, clip: Clip) -> tuple[np.ndarray, list[Notice]]:
        """Return a clip's samples, int16 [samples], cut or padded to the clip length.

        Raises:
          DecodeError: The clip has no usable audio.
        """
        notices: list[Notice] = []
        if self._decode is not None:
            waveform = self._decode(clip, self._rate_hz)
        else:
            waveform, notices = self._reader.read(clip)
        fitted = np.zeros(self._samples, "<i2")
        kept = min(len(waveform), self._samples)
        fitted[:kept] = to_int16(waveform[:kept])
        return fitted, notices


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether an int16 waveform has no sample above `SILENT_PEAK`."""
    return bool(waveform.max() <= SILENT_PEAK and waveform.min() >= -SILENT_PEAK)


def is_clipped(waveform: np.ndarray) -> bool:
    """Return whether an int16 waveform has `CLIPPED_SAMPLES` samples or more at full scale."""
    # -32767 is full scale too: many encoders never write -32768.
    return bool(np.count_nonzero((waveform == 32767) | (waveform <= -32767)) >= CLIPPED_SAMPLES)


def dump_clips(clips: Sequence[Clip], header: str) -> bytes:
    """Return a shard's manifest: a header line, then one clip per line."""
    lines = [header, *(json.dumps(_FIELDS(clip)) for clip in clips)]
    return "\n".join(lines).encode()


def load_clips(content: bytes) -> list[Clip]:
    """Read the clips of a manifest."""
    rows = (json.loads(line) for line in content.splitlines()[1:])
    return [Clip(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]
