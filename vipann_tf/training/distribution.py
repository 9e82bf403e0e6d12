"""On which devices a training runs."""

import os
from typing import Literal, get_args

import tensorflow as tf

from vipann_tf.errors import UserError

Devices = Literal["auto", "none", "mirrored", "multiworker"]


def make_strategy(devices: Devices = "auto") -> tf.distribute.Strategy:
    """A `tf.distribute` strategy.

    Args:
      devices: `none` is one device; `mirrored` all GPUs of this machine (or its logical CPU devices
        where there is no GPU); `multiworker` the machines that the environment variable TF_CONFIG
        names; `auto` is `multiworker` where TF_CONFIG is set, else `mirrored` where there is more
        than one GPU, else `none`.
    """
    if devices not in get_args(Devices):
        raise UserError(f"devices is {devices!r}; allowed are {', '.join(get_args(Devices))}")
    gpus = tf.config.list_logical_devices("GPU")
    if devices == "auto":
        devices = "multiworker" if os.environ.get("TF_CONFIG") else "mirrored" if len(gpus) > 1 else "none"
    if devices == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise UserError("devices is 'multiworker' but TF_CONFIG is not set; it names the workers")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "mirrored":
        return tf.distribute.MirroredStrategy(gpus or tf.config.list_logical_devices("CPU"))
    return tf.distribute.get_strategy()
