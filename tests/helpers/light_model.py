"""A model directory without the SavedModel's graph, whose tracing takes longer than these tests."""

import pathlib

import numpy as np
import tensorflow as tf

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.metadata import SAVED_MODEL_PB, ModelInfo, TrainingData, write_metadata
from vipann_tf.saved_model.versions import next_version


def light_version(model: VIPANN, directory, info: ModelInfo, labels, *, version=None):
    """Write a version folder, all but the graph of the SavedModel, in place of `add_version`."""
    folder = pathlib.Path(directory) / str(version or next_version(directory))
    named = model.named_variables()
    write_metadata(folder, info.model_copy(update={"variables": list(named)}), labels)
    statistics = model.draw_statistics
    values = tf.train.Checkpoint(
        network_variables=list(named.values()),
        draw_statistics=dict(statistics.moments) if statistics else {},
    )
    values.write(str(folder / "variables" / "variables"))
    (folder / SAVED_MODEL_PB).touch()
    return folder


def write_light_model(
    path, dataset: DatasetInfo, head: str = "flipout", precision: str = "float32"
) -> VIPANN:
    """Writes an untrained network of 1/16 width that claims fold 5 of the dataset as held out."""
    architecture = Architecture(
        depth=22,
        width=1 / 16,
        trunk="deterministic",
        head=head,
        labels=len(dataset.labels),
        task=dataset.task,
    )
    network = VIPANN(architecture, seed=3)
    variables = network.named_variables()
    variables["bn0/moving_mean"].assign(np.full(64, -30.0))  # dB, where log-mel values lie
    variables["bn0/moving_variance"].assign(np.full(64, 300.0))
    folds = [name for name in dataset.splits if name != "fold5"]
    info = ModelInfo(
        origin="transfer",
        architecture=architecture,
        sample_rate_hz=32000,
        clip_seconds=1.0,
        num_draws=2,
        seed=4,
        precision=precision,
        variables=[],
        data=TrainingData(
            dataset=dataset.name,
            splits=folds,
            held_out=["fold5"],
            clips=16,
            time_expansion=dataset.time_expansion,
        ),
        training={"steps": 0, "seconds": 0.0, "loss": 2.3},
    )
    light_version(network, path, info, dataset.labels)
    return network
