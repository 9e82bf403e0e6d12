"""Batches as Keras hands them over: tuples (x, y) or dicts, with labels of either form."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from vipann_tf.models.architecture import Architecture


def batch_of(data: Any, start: str, architecture: Architecture) -> dict[str, tf.Tensor]:
    """Return a batch of training or evaluation: `labels`, and `waveform` or `features`.

    Args:
      data: A dict of these, or a tuple (x, labels), where x is a tensor or a dict.
      start: The stage of x; `waveform` is the key of waveforms, `features` that of all others.
      architecture: Has the task and the number of labels.

    Raises:
      ValueError: A part is missing or has another form, or there are sample weights.
    """
    x, y, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
    if weights is not None:
        raise ValueError(
            "sample weights and class weights are not supported: each clip counts once in the "
            "ELBO; leave sample_weight and class_weight out"
        )
    batch = inputs_of(x, start)
    if y is not None:
        batch["labels"] = y
    if "labels" not in batch:
        raise ValueError(
            f"a batch has {_names(batch)} but no labels; give (x, labels), or a dict with 'labels'"
        )
    return {**batch, "labels": _rows(batch["labels"], architecture)}


def inputs_of(x: Any, start: str) -> dict[str, tf.Tensor]:
    """Return the inputs as a dict with the key `waveform` or `features`, and what else it has.

    Args:
      x: A tensor, or a dict that has the key.
      start: The stage of the values.

    Raises:
      ValueError: The key is missing, or the waveforms are not float [batch, samples].
    """
    key = "waveform" if start == "waveform" else "features"
    batch = dict(x) if isinstance(x, Mapping) else {key: x}
    if key not in batch:
        raise ValueError(
            f"a batch has {_names(batch)} but no {key!r}, which this network is compiled for "
            f"(start={start!r})"
        )
    if key == "waveform":
        waveform = tf.convert_to_tensor(batch[key])
        if waveform.shape.rank not in (None, 2) or not waveform.dtype.is_floating:
            raise ValueError(
                f"waveforms have shape {waveform.shape} and dtype {waveform.dtype.name}; they must "
                "be floats in [-1, 1] at 32 kHz, [batch, samples] (16-bit samples / 32768)"
            )
    return batch


def _rows(labels: Any, architecture: Architecture) -> tf.Tensor:
    """Return labels [batch, labels]; class numbers become such rows."""
    labels = tf.convert_to_tensor(labels)
    count, shape = architecture.labels, labels.shape
    if shape.rank is None or (shape.rank == 2 and shape[-1] in (count, None)):
        return labels
    numbers = shape.rank == 1 or (shape.rank == 2 and shape[-1] == 1)
    if architecture.task == "multiclass" and numbers and labels.dtype.is_integer:
        labels = tf.reshape(labels, [-1])
        valid = tf.reduce_all((labels >= 0) & (labels < count))
        text = f"a class number is not in 0 to {count - 1}, the labels of this network"
        with tf.control_dependencies([tf.debugging.Assert(valid, [text, labels])]):
            return tf.one_hot(labels, count)
    allowed = f"[batch, {count}], multi-hot"
    if architecture.task == "multiclass":
        allowed = f"[batch, {count}], one-hot, or integer class numbers [batch]"
    raise ValueError(
        f"labels have shape {shape} and dtype {labels.dtype.name}; a {architecture.task} network "
        f"takes {allowed}"
    )


def _names(batch: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, sorted(batch)))
