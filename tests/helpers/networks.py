"""Tiny networks whose every part matters, and clips for them."""

import numpy as np

from vipann_tf.models.architecture import Architecture
from vipann_tf.models.vipann import VIPANN

# Trunk, head and signs of the networks that the strategies of the package make.
KINDS = {
    "deterministic": ("deterministic", "deterministic", "channel"),
    "dropout": ("dropout", "dropout", "channel"),
    "flipout": ("flipout", "flipout", "channel"),
    "imported": ("flipout", "deterministic", "activation"),
    "det-flip": ("deterministic", "flipout", "channel"),
    "det-laplace": ("deterministic", "laplace", "channel"),
}
STOCHASTIC = [kind for kind in KINDS if kind != "deterministic"]


def architecture(kind="flipout", **changes):
    trunk, head, signs = KINDS[kind]
    values = {"depth": 22, "width": 1 / 16, "labels": 5, "task": "multilabel"}
    return Architecture(**{**values, "trunk": trunk, "head": head, "signs": signs, **changes})


def network(kind="flipout", changes=None, **kwargs):
    """A network with all variables away from where they start: there, residual branches are 0."""
    model = VIPANN(architecture(kind, **(changes or {})), **kwargs)
    variables = model.named_variables()
    randomise(variables)
    variables["bn0/moving_mean"].assign(np.full(64, -30.0))  # about that of the clips, in dB
    variables["bn0/moving_variance"].assign(np.full(64, 100.0))
    return model


def randomise(variables):
    """Moves variables, by names that end with what they are, away from where they start."""
    random = np.random.default_rng(5)
    for name, variable in variables.items():
        shape, kind = variable.shape, name.rpartition("/")[-1]
        if kind in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif kind in ("beta", "moving_mean", "bias"):
            variable.assign(random.normal(0, 0.2, shape))
        elif kind == "stddev":
            variable.assign(random.uniform(0.05, 0.15, shape))
        elif kind in ("input_basis", "output_basis"):
            variable.assign(np.linalg.qr(random.normal(size=shape))[0])
        elif kind == "kernel_rho":
            variable.assign(random.normal(-2.5, 0.3, shape))


def waveforms(batch, samples=32000, seed=2):
    """Noise of different loudness and colour, float32 [batch, samples]."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=[batch, samples])
    coloured = noise + random.uniform(-0.9, 0.9, [batch, 1]) * np.roll(noise, 1, axis=1)
    return (coloured * 10 ** random.uniform(-3, -1, [batch, 1])).astype(np.float32)


def multi_hot(batch, labels=5, seed=4):
    return np.random.default_rng(seed).integers(0, 2, [batch, labels]).astype(np.float32)
