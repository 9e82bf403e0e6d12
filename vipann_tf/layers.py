"""The layers of the networks, for your own Keras models (`tf_keras`, Keras 2)."""

from vipann_tf.audio.logmel import LogMel
from vipann_tf.models.dropout import Dropout
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense

__all__ = ["Dropout", "FlipoutConv2D", "FlipoutDense", "LogMel"]
