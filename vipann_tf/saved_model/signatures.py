"""The functions of an exported model, as TensorFlow Serving sees them: core TensorFlow ops only."""

import tensorflow as tf

from vipann_tf.models.randomness import Draw
from vipann_tf.models.vipann import VIPANN
from vipann_tf.saved_model.metadata import MAX_SAMPLES, MIN_SECONDS
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


class Signatures:
    """A model and its signatures.

    Args:
      model: The network; float32.
      samples: Draws of `serving_default`.
      seed: Seed of those draws.
      sample_rate_hz: Of the waveforms.
    """

    def __init__(self, model: VIPANN, *, samples: int, seed: int, sample_rate_hz: int):
        self._model = model
        self._samples = samples
        self._seed = seed
        self._min_length = int(MIN_SECONDS * sample_rate_hz)
        waveform = tf.TensorSpec([None, None], tf.float32, name="waveform")
        self.functions = {
            "serving_default": tf.function(self._serving_default, [waveform], autograph=False),
            "monte_carlo": tf.function(
                self._monte_carlo,
                [
                    waveform,
                    tf.TensorSpec([], tf.int32, name="num_samples"),
                    tf.TensorSpec([], tf.int64, name="seed"),
                ],
                autograph=False,
            ),
            "embed": tf.function(self._embed, [waveform], autograph=False),
        }

    def module(self) -> tf.Module:
        """What to save beside the functions: the variables alone, in `named_variables` order.

        The Keras model itself would bring its layers and their metadata into the SavedModel.
        """
        module = tf.Module()
        module.network_variables = list(self._model.named_variables().values())
        return module

    def _serving_default(self, waveform):
        probs = self._sample(waveform, tf.constant(self._samples), tf.constant(self._seed, tf.int64))
        return self._decompose(probs)

    def _monte_carlo(self, waveform, num_samples, seed):
        with tf.control_dependencies(
            [
                tf.debugging.assert_greater_equal(
                    num_samples, 1, f"num_samples must be from 1 to {MAX_SAMPLES}"
                ),
                tf.debugging.assert_less_equal(
                    num_samples, MAX_SAMPLES, f"num_samples must be from 1 to {MAX_SAMPLES}"
                ),
            ]
        ):
            probs = self._sample(waveform, tf.identity(num_samples), seed)
        return {**self._decompose(probs), "sample_probabilities": tf.transpose(probs, [1, 0, 2])}

    def _embed(self, waveform):
        return {"embedding": self._model.embed(self._checked(waveform))}

    def _sample(self, waveform, num_samples, seed) -> tf.Tensor:
        """Probabilities [num_samples, batch, labels] of draws 1 to num_samples."""
        features = self._model.prefix(self._checked(waveform))
        if not self._model.architecture.stochastic:
            probs = self._model.suffix(features, None)
            return tf.tile(probs[tf.newaxis], [num_samples, 1, 1])
        return tf.map_fn(
            lambda index: self._model.suffix(features, Draw(seed, index)),
            tf.range(1, num_samples + 1),
            fn_output_signature=tf.TensorSpec([None, self._model.architecture.labels]),
            # One network at a time is in memory.
            parallel_iterations=1,
        )

    def _decompose(self, probs) -> dict[str, tf.Tensor]:
        result = decomposition.decompose(probs, self._model.architecture.task)
        return {name: getattr(result, name) for name in OUTPUTS}

    def _checked(self, waveform) -> tf.Tensor:
        """The waveform, once it is known to be one that the network can answer."""
        shape = tf.shape(waveform)
        with tf.control_dependencies(
            [
                tf.debugging.assert_positive(shape[0], "waveform has no rows: the batch is empty"),
                tf.debugging.assert_greater_equal(
                    shape[1],
                    self._min_length,
                    f"waveform is too short: send at least {self._min_length} samples",
                ),
                tf.debugging.assert_all_finite(waveform, "waveform holds NaN or infinite samples"),
            ]
        ):
            return tf.identity(waveform)
