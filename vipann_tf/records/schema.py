"""The dataset directory: its TFRecord schema, its dataset.json and the names of its files.

The writer and the parser of a record are here. Only the parser imports TensorFlow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pydantic

from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.records.example_proto import Example
from vipann_tf.task import Task

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = [
    "CLIP_ID",
    "GROUP",
    "INFO_FILE",
    "LABELS",
    "NOTICES_FILE",
    "REJECTED_FILE",
    "WAVEFORM",
    "DatasetInfo",
    "SplitInfo",
    "clip_samples",
    "encode_id",
    "parse_record",
    "read_dataset_info",
    "serialize",
    "shard_name",
    "to_int16",
]

INFO_FILE = "dataset.json"
REJECTED_FILE = "rejected.csv"
NOTICES_FILE = "notices.csv"

# Keys of a record.
CLIP_ID = "clip_id"
WAVEFORM = "waveform"
LABELS = "labels"
GROUP = "group"

# int16 value of amplitude 1.0: 16-bit PCM goes through unchanged.
INT16_SCALE = 32768


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class SplitInfo(_Strict):
    """What one split holds.

    Attributes:
      clips: Number of records.
      shards: Number of shard files.
      label_counts: Records that carry each label, in label order.
      shard_clips: Number of records in each shard file.
      shard_bytes: Size of each shard file, which reveals a truncated copy.
      silent: Records whose peak is below `vipann_tf.records.shards.SILENT_PEAK`.
      clipped: Records with samples at full scale, see `vipann_tf.records.shards.CLIPPED_SAMPLES`.
      digest: Hash of every record, in order.
    """

    clips: int
    shards: int
    label_counts: list[int]
    shard_clips: list[int]
    shard_bytes: list[int]
    silent: int
    clipped: int
    digest: str


class DatasetInfo(_Strict):
    """The content of dataset.json."""

    schema_version: Literal[1] = 1
    name: str
    task: Task
    labels: list[str]
    sample_rate_hz: int
    clip_seconds: float
    time_expansion: float = 1.0
    splits: dict[str, SplitInfo]
    rejected: dict[str, int]
    notices: dict[str, int] = {}  # absent from older directories

    @property
    def samples(self) -> int:
        """Length of every clip, in samples."""
        return clip_samples(self.clip_seconds, self.sample_rate_hz)

    @property
    def clips(self) -> int:
        """Number of records in all splits."""
        return sum(split.clips for split in self.splits.values())

    @property
    def fingerprint(self) -> str:
        """A hash of everything that a model can learn from: records, labels and splits."""
        # A recording at its own speed has the fingerprint that it had before there was another.
        exclude = {"rejected", "notices"} | (
            {"time_expansion"} if self.time_expansion == 1 else set()
        )
        content = self.model_dump_json(exclude=exclude)
        return hashlib.sha256(content.encode()).hexdigest()

    def check_splits(self, names: str | Iterable[str]) -> list[str]:
        """Return the split names as a list; raise a `UserError` for none or an unknown one."""
        if isinstance(names, str):
            names = [names]
        names = list(names)
        unknown = [name for name in names if name not in self.splits]
        if unknown or not names:
            what = f"split {unknown[0]!r} is unknown" if unknown else "no split is named"
            raise UserError(f"{what}; dataset {self.name} has {', '.join(self.splits)}")
        return names

    def count(self, splits: str | Iterable[str]) -> int:
        """Return the number of records in the named splits."""
        return sum(self.splits[name].clips for name in self.check_splits(splits))


def clip_samples(seconds: float, sample_rate_hz: int) -> int:
    """Return the length of a clip in samples."""
    return round(seconds * sample_rate_hz)


def shard_name(split: str, index: int, shards: int) -> str:
    """Return the file name of a shard: `train-00000-of-00008.tfrecord`."""
    return f"{split}-{index:05d}-of-{shards:05d}.tfrecord"


def read_dataset_info(directory: StrPath) -> DatasetInfo:
    """Read and check a dataset directory's dataset.json.

    Raises:
      UserError: The directory isn't a complete dataset directory of this version.
    """
    path = storage.join(directory, INFO_FILE)
    try:
        text = storage.read_bytes(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{directory} is not a dataset directory: it has no {INFO_FILE};"
            " make one with `vipann-tf prepare`"
        ) from error
    try:
        return DatasetInfo.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(
            f"{path} can't be read: {where}: {first['msg']}; prepare the dataset again"
        ) from error


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Round a float waveform in [-1, 1] to little-endian int16, saturating beyond."""
    scaled = np.rint(np.clip(waveform, -1, 1) * np.float32(INT16_SCALE))
    return np.minimum(scaled, INT16_SCALE - 1).astype("<i2")


def serialize(clip_id: str, waveform: np.ndarray, labels: Iterable[int], group: str = "") -> bytes:
    """Return a record as `tf.train.Example` bytes; equal content gives equal bytes.

    Args:
      clip_id: The clip's name.
      waveform: int16 [samples].
      labels: Label indices, each once.
      group: Name of what it shares with other clips, such as their recording; empty if it shares
        nothing.
    """
    assert waveform.dtype == np.dtype("<i2"), waveform.dtype
    example = Example()
    feature = example.features.feature
    feature[CLIP_ID].bytes_list.value.append(encode_id(clip_id))
    feature[WAVEFORM].bytes_list.value.append(waveform.tobytes())
    # Accessing the list marks it present, so a clip without labels has an int64 feature as well.
    feature[LABELS].int64_list.SetInParent()
    feature[LABELS].int64_list.value.extend(int(label) for label in labels)
    if group:
        feature[GROUP].bytes_list.value.append(encode_id(group))
    return example.SerializeToString(deterministic=True)


def parse_record(
    record: tf.Tensor, samples: int, num_labels: int, *, waveform: bool = True, group: bool = False
) -> dict[str, tf.Tensor]:
    """Parse a record: the inverse of `serialize`.

    Args:
      record: string [].
      samples: Samples in the clip.
      num_labels: Length of the label list.
      waveform: Whether to decode the waveform, which is most of the work.
      group: Whether to return the group.

    Returns:
      `waveform` float32 [samples] in [-1, 1) if requested, `labels` float32 [num_labels]
      multi-hot, `clip_id` string [], and `group` string [] if requested, which is `clip_id` if
      the clip shares nothing with others.
    """
    import tensorflow as tf

    features = {
        CLIP_ID: tf.io.FixedLenFeature([], tf.string),
        LABELS: tf.io.RaggedFeature(tf.int64),
    }
    if group:
        features[GROUP] = tf.io.FixedLenFeature([], tf.string, default_value="")
    if waveform:
        features[WAVEFORM] = tf.io.FixedLenFeature([], tf.string)
    parsed = tf.io.parse_single_example(record, features)
    # One row per label of the clip (each occurs once), then their sum: no labels give zeros.
    labels = tf.reduce_sum(tf.one_hot(parsed[LABELS], num_labels), axis=0)
    clip = {LABELS: labels, CLIP_ID: parsed[CLIP_ID]}
    if group:
        alone = tf.equal(parsed[GROUP], "")
        clip[GROUP] = tf.where(alone, parsed[CLIP_ID], parsed[GROUP])
    if waveform:
        values = tf.io.decode_raw(parsed[WAVEFORM], tf.int16, little_endian=True)
        values = tf.ensure_shape(values, [samples])
        clip[WAVEFORM] = tf.cast(values, tf.float32) * (1 / INT16_SCALE)
    return clip


def encode_id(clip_id: str) -> bytes:
    """Encode a clip id as it is stored: UTF-8, with backslash escapes for undecodable bytes."""
    return clip_id.encode("utf-8", "backslashreplace")
