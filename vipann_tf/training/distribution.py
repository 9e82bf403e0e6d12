"""The devices that share a training."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import tensorflow as tf

from vipann_tf.choices import Devices
from vipann_tf.errors import UserError

# Errors of the operations that workers share, where one worker is gone.
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
# "Error reported from /job:worker/task:1: ..."
_NAMED_TASK = re.compile(r"(?:from|Task) /job:(\w+)(?:/replica:\d+)?/task:(\d+)")


def make_distribution(devices: Devices = "auto") -> tf.distribute.Strategy:
    """Make the `tf.distribute` strategy that spreads every batch over devices.

    Args:
      devices: `none` is one device; `mirrored` all GPUs of this machine (or its logical CPU devices
        where there is no GPU); `multiworker` the machines that the environment variable TF_CONFIG
        names; `auto` is `multiworker` where TF_CONFIG is set, else `mirrored` where there is more
        than one GPU, else `none`.

    Raises:
      UserError: `devices` is none of these, or is `multiworker` without TF_CONFIG.
    """
    if devices not in get_args(Devices):
        raise UserError(f"devices is {devices!r}; allowed are {', '.join(get_args(Devices))}")
    if devices == "auto" and os.environ.get("TF_CONFIG"):
        devices = "multiworker"
    if devices == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise UserError(
                "devices is 'multiworker' but TF_CONFIG is not set; it names the workers"
            )
        # Before anything asks for devices: collective operations are set up at the start or never.
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if devices == "mirrored" or (devices == "auto" and len(gpus) > 1):
        if gpus:
            return tf.distribute.MirroredStrategy(gpus)
        # Collective operations between logical devices of one CPU are keyed by numbers of the whole
        # process, which two strategies in it can confuse ("Shape mismatch in the collective").
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("CPU"),
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    return tf.distribute.get_strategy()


def is_multiworker(distribution: tf.distribute.Strategy) -> bool:
    """Return whether several processes train together."""
    return isinstance(distribution, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(distribution: tf.distribute.Strategy) -> bool:
    """Return whether this process is the one that writes logs, checkpoints and the model."""
    if not is_multiworker(distribution):
        return True
    resolver = distribution.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def distribute(
    distribution: tf.distribute.Strategy, batches: tf.data.Dataset, batch_size: int
) -> tf.distribute.DistributedDataset | tf.data.Dataset:
    """Give each replica its rows of every global batch, in the order of the replicas.

    Args:
      distribution: Devices that run the steps.
      batches: Global batches, the same in every process.
      batch_size: Clips in each batch, a multiple of the replicas.
    """
    if distribution.num_replicas_in_sync == 1 and not is_multiworker(distribution):
        return batches
    rows = batch_size // distribution.num_replicas_in_sync

    def of_this_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def split(batch: dict[str, tf.Tensor]) -> tf.data.Dataset:
            parts = {
                key: tf.reshape(value, tf.concat([[-1, rows], tf.shape(value)[1:]], 0))[
                    first : first + local
                ]
                for key, value in batch.items()
            }
            return tf.data.Dataset.from_tensor_slices(parts)

        return batches.flat_map(split)

    return distribution.distribute_datasets_from_function(of_this_process)


def agreement(distribution: tf.distribute.Strategy) -> Callable[[bool], bool]:
    """Return a function that tells whether any worker says yes.

    Workers that stopped at different steps would wait for each other. All call it, equally often.
    """
    if not is_multiworker(distribution):
        return bool

    @tf.function
    def votes(vote: tf.Tensor) -> tf.Tensor:
        everyone = distribution.run(tf.identity, args=(vote,))
        return distribution.reduce(tf.distribute.ReduceOp.SUM, everyone, axis=None)

    return lambda vote: bool(votes(tf.constant(float(vote))) > 0)


@contextmanager
def lost_workers(distribution: tf.distribute.Strategy, checkpoints: Path) -> Iterator[None]:
    """Raise a `UserError` of one line where another process is gone.

    Args:
      distribution: Devices that run the steps.
      checkpoints: Folder of the checkpoints to resume from.
    """
    try:
        yield
    except _LOST_WORKER as error:
        if not is_multiworker(distribution):
            raise
        named = _NAMED_TASK.search(error.message)
        raise UserError(
            f"{' '.join(named.groups()) if named else 'another worker'} was lost; see its output, "
            "then start all of them again: they go on from the last checkpoint in "
            f"{checkpoints}"
        ) from error
