"""Small models of every kind, whose every variable has an effect."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tests.helpers import networks
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.metadata import ModelInfo, TrainingData
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.uncertainty import decomposition

LABELS = ["Siren", "Rain, light", "Glöckchen", "dog", "clock tick"]
# The network, of `networks.KINDS`, and the task: the kinds that pretraining and transfer make.
KINDS = {
    "flip": ("imported", "multilabel"),
    "det-flip": ("det-flip", "multiclass"),
    "det-laplace": ("det-laplace", "multilabel"),
    "drop": ("dropout", "multiclass"),
    "det": ("deterministic", "multilabel"),
}
NUM_DRAWS, SEED, TEMPERATURE = 3, 11, 1.7
# Rounding of float32 convolutions that are summed in another order.
CLOSE = {"rtol": 0, "atol": 1e-5}


@dataclass(frozen=True)
class Exported:
    """A Keras model and the model directory that was written from it."""

    keras: VIPANN
    path: Path
    info: ModelInfo
    signatures: dict

    def expected(self, waveforms, num_draws=NUM_DRAWS, seed=SEED) -> decomposition.Decomposition:
        """What the Keras model says, draw by draw, without any graph of the export's."""
        waveforms = tf.constant(waveforms)
        draws = [Draw(tf.constant(seed, tf.int64), tf.constant(i)) for i in range(1, num_draws + 1)]
        task = self.info.architecture.task
        probs = [
            probabilities(self.keras.run(waveforms, draw=draw) / TEMPERATURE, task)
            for draw in draws
        ]
        return decomposition.decompose(tf.stack(probs), task)


def small_model(kind: str) -> VIPANN:
    """A network of a kind whose every variable has an effect on the output."""
    network, _ = KINDS[kind]
    return networks.network(network, changes_of(kind), seed=3)


def changes_of(kind: str) -> dict[str, str]:
    """Return how the architecture of a kind differs from that of its network."""
    return {"task": KINDS[kind][1], "signs": "channel"}


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
        **{"num_draws": NUM_DRAWS, "seed": SEED, **settings},
    )
