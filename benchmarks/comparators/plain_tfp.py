"""ResNet-54 with TFP's Flipout convolutions as they come: what our layers are compared with.

Everything but the convolutions is ours, so that the difference is theirs.
"""

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from vipann_tf.audio.logmel import LogMel
from vipann_tf.models import resnet
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.layer_factory import LayerFactory


class PlainFactory(LayerFactory):
    """Makes TFP's layers where ours makes its own."""

    def conv(self, filters: int, size: int, name: str) -> tf_keras.layers.Layer:
        if self.architecture.trunk != "flipout":
            return tf_keras.layers.Conv2D(
                filters, size, padding="same", use_bias=False, name=name, dtype=self.dtype
            )
        return tfp.layers.Convolution2DFlipout(
            filters,
            size,
            padding="same",
            bias_posterior_fn=None,
            name=name,
            dtype=self.dtype,
        )


class PlainVIPANN(tf_keras.Model):
    """Waveforms to logits; every call of a Flipout network draws its own noise."""

    def __init__(self, architecture: Architecture, dtype: str = "float32"):
        super().__init__()
        make = PlainFactory(architecture, dtype=dtype)
        self.frontend = LogMel()
        self.network = resnet.network(make)
        self(tf.zeros([1, 32000]))

    def call(self, inputs, training=None):
        return self.network(self.frontend(inputs), training=training)


def training_step(model: PlainVIPANN, optimizer, clips: int):
    """A compiled step on the ELBO: NLL of a multilabel batch plus the layers' KL over `clips`."""

    @tf.function(autograph=False)
    def step(waveform, labels):
        with tf.GradientTape() as tape:
            logits = tf.cast(model(waveform, training=True), tf.float32)
            per_label = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            kl = tf.add_n(model.losses) / clips if model.losses else 0.0
            loss = tf.reduce_mean(per_label) + kl
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step
