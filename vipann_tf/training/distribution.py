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
        # Collective operations between logical devices of one CPU are keyed by process-wide numbers,
        # which two strategies in one process can confuse (seen: "Shape mismatch in the collective").
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("CPU"),
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    return tf.distribute.get_strategy()


def is_multiworker(strategy: tf.distribute.Strategy) -> bool:
    """Whether several processes train together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes logs, checkpoints and the model."""
    if not is_multiworker(strategy):
        return True
    resolver = strategy.cluster_resolver
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def distribute(
    strategy: tf.distribute.Strategy, batches: tf.data.Dataset, batch_size: int
) -> tf.distribute.DistributedDataset | tf.data.Dataset:
    """Gives each replica its rows of every global batch, in the replicas' order.

    Args:
      strategy: Runs the steps.
      batches: Global batches, the same in every process.
      batch_size: Clips in each, a multiple of the replicas.
    """
    if strategy.num_replicas_in_sync == 1 and not is_multiworker(strategy):
        return batches
    rows = batch_size // strategy.num_replicas_in_sync

    def of_this_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def split(batch):
            parts = {
                key: tf.reshape(value, tf.concat([[-1, rows], tf.shape(value)[1:]], 0))[
                    first : first + local
                ]
                for key, value in batch.items()
            }
            return tf.data.Dataset.from_tensor_slices(parts)

        return batches.flat_map(split)

    return strategy.distribute_datasets_from_function(of_this_process)
