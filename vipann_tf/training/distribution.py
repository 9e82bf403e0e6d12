"""Distribution of a training over devices."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import tensorflow as tf

from vipann_tf.choices import Devices
from vipann_tf.errors import UserError

# Errors of collective operations after a worker is lost.
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
    """Make the `tf.distribute` strategy that splits every batch between devices.

    Args:
      devices: `none` is one device; `mirrored` is all GPUs of this machine, or its logical CPU
        devices if it has no GPU; `multiworker` is the machines in the environment variable
        TF_CONFIG; `auto` is `multiworker` if TF_CONFIG is set, else `mirrored` if there is more
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
        # This must come before the first use of a device, which fixes the collective operations.
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if devices == "mirrored" or (devices == "auto" and len(gpus) > 1):
        if gpus:
            return tf.distribute.MirroredStrategy(gpus)
        # Collective operations between logical CPU devices have process-wide numbers, so two
        # strategies in a process can mix them up ("Shape mismatch in the collective").
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("CPU"),
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    return tf.distribute.get_strategy()


def is_multiworker(distribution: tf.distribute.Strategy) -> bool:
    """Return whether several processes train together."""
    return isinstance(distribution, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(distribution: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the logs, checkpoints and model."""
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
    """Return a function that returns whether any worker votes yes.

    All must call it equally often, since workers at different steps would wait for each other.
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
    """Raise a one-line `UserError` if another process is lost.

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
            "then start all workers again: they resume from the last checkpoint in "
            f"{checkpoints}"
        ) from error
