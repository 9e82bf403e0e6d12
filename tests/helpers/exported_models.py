"""Small models of every kind, whose every variable has an effect."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.metadata import Calibration, ModelInfo, TrainingData
from vipann_tf.uncertainty import decomposition

LABELS = ["Siren", "Rain, light", "Glöckchen", "dog", "clock tick"]
# (trunk, head, task): the kinds that pretraining and transfer make.
KINDS = {
    "flip": ("flipout", "deterministic", "multilabel"),
    "det-flip": ("deterministic", "flipout", "multiclass"),
    "drop": ("dropout", "dropout", "multiclass"),
    "det": ("deterministic", "deterministic", "multilabel"),
}
SAMPLES, SEED, TEMPERATURE = 3, 11, 1.7
# Rounding of float32 convolutions that are summed in another order.
CLOSE = {"rtol": 0, "atol": 1e-5}


@dataclass(frozen=True)
class Exported:
    """A Keras model and the model directory that was written from it."""

    keras: VIPANN
    path: Path
    info: ModelInfo
    signatures: dict

    def expected(self, waveforms, samples=SAMPLES, seed=SEED) -> decomposition.Decomposition:
        """What the Keras model says, draw by draw, without any graph of the export's."""
        waveforms = tf.constant(waveforms)
        draws = [Draw(tf.constant(seed, tf.int64), tf.constant(i)) for i in range(1, samples + 1)]
        task = self.info.architecture.task
        probs = [
            probabilities(self.keras.run(waveforms, draw=draw) / TEMPERATURE, task)
            for draw in draws
        ]
        return decomposition.decompose(tf.stack(probs), task)


def small_model(kind: str) -> VIPANN:
    """A network of a kind whose every variable has an effect on the output."""
    trunk, head, task = KINDS[kind]
    architecture = Architecture(
        depth=22, width=1 / 16, trunk=trunk, head=head, labels=len(LABELS), task=task
    )
    model = VIPANN(architecture, seed=3)
    rng = np.random.default_rng(5)
    for name, variable in model.named_variables().items():
        if name.endswith("gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))  # 0 in a new residual branch
        elif name == "bn0/moving_mean":
            variable.assign(np.full(variable.shape, -30.0))  # dB, where log-mel values lie
        elif name == "bn0/moving_variance":
            variable.assign(np.full(variable.shape, 300.0))
    return model


def ask(model, signature, **inputs):
    """Answers of an exported model, NumPy arrays by name."""
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in model.signatures[signature](**inputs).items()}


def small_info(model: VIPANN, **settings) -> ModelInfo:
    return ModelInfo(
        origin="pretrain",
        architecture=model.architecture,
        sample_rate_hz=32000,
        clip_seconds=1.0,
        variables=[],
        calibration=Calibration(temperature=TEMPERATURE),
        data=TrainingData(dataset="tiny", splits=["fold1"], held_out=["fold5"], clips=40),
        recipe={"model": {"depth": 22}},
        training={"steps": 7, "seconds": 1.5, "loss": 0.25},
        metrics={"tiny/fold5": {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9}, "nll": 0.61}},
        **{"samples": SAMPLES, "seed": SEED, **settings},
    )
