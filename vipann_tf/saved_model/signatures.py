"""The signatures of an exported model, which use only core TensorFlow ops.

Each part of the network is traced once and called by every signature that needs it. The graph is a
third of the size that it would have if each signature traced the network itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from vipann_tf.models.ensemble import Ensemble
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw
from vipann_tf.models.training_step import Stage
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model import wav
from vipann_tf.saved_model.metadata import MIN_SECONDS, STATUS, ModelInfo
from vipann_tf.saved_model.requests import (
    checked_draws,
    checked_rounds,
    checked_samples,
    checked_waveform,
)
from vipann_tf.uncertainty import decomposition

# Fields of a `Decomposition` that a signature returns.
OUTPUTS = (
    "probabilities",
    "label_total",
    "label_aleatoric",
    "label_epistemic",
    "total",
    "aleatoric",
    "epistemic",
)

# Outputs of a signature by name.
Answer = dict[str, tf.Tensor]


class Signatures:
    """A model and its signatures.

    Args:
      model: The network, with the dtype policy of the SavedModel.
      info: Has the draws of `serving_default` (`num_draws`, `seed`, `draw_storage`), the sample
        rate, the calibration, and the length of waveform if it is fixed.
    """

    def __init__(self, model: VIPANN | Ensemble, info: ModelInfo):
        self._model = model
        self._info = info
        length = None
        if info.fixed_seconds is not None:
            length = round(info.fixed_seconds * info.sample_rate_hz)
        self._length = length
        self._least = int(MIN_SECONDS * info.sample_rate_hz)
        self._stored = self._draw_all() if info.draw_storage == "stored" else None
        # All signatures share the computation up to this stage.
        stages: tuple[Stage, Stage] = ("shared", "pooled")
        self._common = min((x for x in stages if x in model.stages), key=model.stages.index)
        waveforms = tf.TensorSpec([None, length], tf.float32, name="waveform")
        num_draws = tf.TensorSpec([], tf.int32, name="num_samples")
        seed = tf.TensorSpec([], tf.int64, name="seed")
        self._features = _traced(self._features_of, waveforms)
        self._sample = _traced(self._sample_of, waveforms, num_draws, seed)
        self._default = _traced(self._default_of, waveforms)
        self._mean = _traced(self._mean_of, waveforms)
        self.functions = {
            "serving_default": _traced(self._serving_default, waveforms),
            "monte_carlo": _traced(self._monte_carlo, waveforms, num_draws, seed),
            "embed": _traced(self._embed, waveforms),
            "posterior_mean": _traced(self._posterior_mean, waveforms),
            "wav": _traced(self._wav, tf.TensorSpec([None], tf.string, name="wav")),
        }

    def module(self) -> tf.Module:
        """Return the variables to save with the functions, in `named_variables` order.

        The Keras model itself would add its layers and their metadata to the SavedModel.
        """
        module = tf.Module()
        module.network_variables = list(self._model.named_variables().values())
        module.drawn_kernels = self._stored or []
        statistics = self._model.draw_statistics
        module.draw_statistics = dict(statistics.moments) if statistics else {}
        return module

    # The signatures.

    def _serving_default(self, waveform: tf.Tensor) -> Answer:
        return self._decompose(self._default(self._checked(waveform)))

    def _monte_carlo(self, waveform: tf.Tensor, num_samples: tf.Tensor, seed: tf.Tensor) -> Answer:
        num_samples = checked_samples(num_samples)
        if self._info.batch_norm == "draw":
            num_samples = checked_draws(num_samples, seed, self._info)
        if isinstance(self._info.architecture, EnsembleArchitecture):
            num_samples = checked_rounds(num_samples, self._info.architecture)
        probs = self._sample(self._checked(waveform), num_samples, seed)
        return {**self._decompose(probs), "sample_probabilities": tf.transpose(probs, [1, 0, 2])}

    def _embed(self, waveform: tf.Tensor) -> Answer:
        embedding, _ = self._mean(self._checked(waveform))
        return {"embedding": embedding}

    def _posterior_mean(self, waveform: tf.Tensor) -> Answer:
        _, logits = self._mean(self._checked(waveform))
        return {"logits": logits, "probabilities": self._probabilities(logits)}

    def _wav(self, wav_files: tf.Tensor) -> Answer:
        probs, errors = wav.answer_by_length(
            wav_files,
            self._default,
            sample_rate_hz=self._info.sample_rate_hz,
            exactly=self._length,
            time_expansion=self._info.time_expansion,
            shape=[self._info.num_draws, None, self._info.architecture.labels],
        )
        # The epistemic part of one draw is 0 whatever its probabilities are.
        nan = tf.where(tf.equal(errors, ""), 0.0, np.nan)
        answers = {
            name: value + (nan[:, tf.newaxis] if value.shape.rank == 2 else nan)
            for name, value in self._decompose(probs).items()
        }
        return {**answers, STATUS: errors}

    # Parts of the signatures.

    def _features_of(self, waveform: tf.Tensor) -> tf.Tensor:
        return self._model.run(waveform, stop=self._common)

    def _mean_of(self, waveform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the embedding and logits, float32, of the posterior-mean network."""
        features = self._features(waveform)
        embedding = self._model.run(features, start=self._common, stop="embedding")
        return embedding, self._model.run(embedding, start="embedding")

    def _default_of(self, waveform: tf.Tensor) -> tf.Tensor:
        """Compute probabilities [T, batch, labels] of the draws chosen at export."""
        seed = tf.constant(self._info.seed, tf.int64)
        if self._stored is None:
            return self._sample(waveform, tf.constant(self._info.num_draws), seed)

        drawn = dict(
            zip((layer.name for layer in self._model.bayesian_layers), self._stored, strict=True)
        )
        if self._common == "pooled":
            return self._all_heads(waveform, drawn)

        def draw_of(index: tf.Tensor) -> Draw:
            kernels = {name: tf.gather(stored, index - 1) for name, stored in drawn.items()}
            return Draw(seed, index, kernels)

        return self._over_draws(waveform, tf.constant(self._info.num_draws), draw_of)

    def _all_heads(self, waveform: tf.Tensor, drawn: dict[str, tf.Variable]) -> tf.Tensor:
        """Compute probabilities [T, batch, labels] of stored heads, all at once.

        The trunk is deterministic. A head is two small products; one head after another would cost
        more than the trunk.
        """
        features = self._shared(waveform)
        return tf.vectorized_map(
            lambda kernels: self._answer(features, Draw(0, 0, kernels)),
            {name: tf.convert_to_tensor(stored) for name, stored in drawn.items()},
        )

    def _sample_of(self, waveform: tf.Tensor, num_samples: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self._over_draws(waveform, num_samples, lambda index: Draw(seed, index))

    def _over_draws(
        self,
        waveform: tf.Tensor,
        num_samples: tf.Tensor,
        draw_of: Callable[[tf.Tensor], Draw],
    ) -> tf.Tensor:
        """Return the probabilities [num_samples, batch, labels] of draws 1 to num_samples."""
        features = self._shared(waveform)
        if not self._model.architecture.stochastic:
            probs = self._answer(features, None)
            return tf.tile(probs[tf.newaxis], [num_samples, 1, 1])
        return tf.map_fn(
            lambda index: self._answer(features, draw_of(index)),
            tf.range(1, num_samples + 1),
            fn_output_signature=tf.TensorSpec([None, self._model.architecture.labels]),
            parallel_iterations=1,  # one network in memory at a time
        )

    def _shared(self, waveform: tf.Tensor) -> tf.Tensor:
        """Return the stage that all draws share."""
        return self._model.run(self._features(waveform), start=self._common, stop="shared")

    def _answer(self, shared: tf.Tensor, draw: Draw | None) -> tf.Tensor:
        """Compute probabilities [batch, labels] of one network."""
        return self._probabilities(self._model.run(shared, start="shared", draw=draw))

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        temperature = self._info.calibration.temperature
        return probabilities(logits / temperature, self._model.architecture.task)

    def _draw_all(self) -> list[tf.Variable]:
        """Draw the kernels of all draws, [T, *kernel] for each Bayesian layer."""
        drawn = [
            np.zeros([self._info.num_draws, *layer.kernel_loc.shape], np.float32)
            for layer in self._model.bayesian_layers
        ]
        for index in self._model.architecture.draw_indices(self._info.num_draws):
            draw = Draw(self._info.seed, index)
            for layer, stored in zip(self._model.bayesian_layers, drawn, strict=True):
                stored[index - 1] = layer.drawn_kernel(draw)
        dtype = self._model.precision
        return [tf.Variable(tf.cast(stored, dtype), trainable=False) for stored in drawn]

    def _decompose(self, probs: tf.Tensor) -> Answer:
        result = decomposition.decompose(probs, self._model.architecture.task)
        return {name: getattr(result, name) for name in OUTPUTS}

    def _checked(self, waveform: tf.Tensor) -> tf.Tensor:
        return checked_waveform(waveform, least=self._least, exactly=self._length)


def _traced(function: Callable[..., Any], *specs: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=list(specs), autograph=False)
