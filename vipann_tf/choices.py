"""The choices that recipes and options share. They import nothing, so that `--help` stays fast."""

from typing import Literal

__all__ = ["Acquisition", "Devices", "LaplacePrecision", "Mode", "Strategy"]

# How a network is transferred and what is Bayesian then; see `vipann_tf.training.strategies`.
Strategy = Literal["det", "drop", "flip", "det-flip", "det-laplace"]
# How the precision of the prior of a Laplace head is chosen.
LaplacePrecision = Literal["evidence", "weights"]
# What a transfer trains: the head alone, or everything.
Mode = Literal["fixed", "finetune"]
# What shares every batch of a training; see `vipann_tf.training.distribution`.
Devices = Literal["auto", "none", "mirrored", "multiworker"]
# How the clips to label next are chosen; see `vipann_tf.active.acquisition`.
Acquisition = Literal[
    "random", "total", "aleatoric", "epistemic", "epistemic-diversity", "margin", "badge"
]
