"""Initial weights from another model."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from vipann_tf.errors import UserError
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Variational

Weights = Mapping[str, npt.NDArray[np.float32]]
# A weight of exactly 0 would have no posterior.
MIN_STDDEV = 1e-6


def start_from(
    model: VIPANN, base: Weights, variational: Variational, wanted: Callable[[str], bool]
) -> None:
    """Copy the weights of a base to some layers of a model.

    A Flipout layer takes the posterior of a Flipout base. From a deterministic base it takes the
    kernel as its mean, and `moped_delta` times the size of each weight as its standard deviation
    (MOPED, Krishnan et al., arXiv 1906.05323, equation 8).

    Args:
      model: Network to change.
      base: Variables of the base by name.
      variational: `moped_delta`, and the prior: `pretrained` is the initial posterior.
      wanted: Returns whether the layer of a name starts from the base.

    Raises:
      UserError: The base lacks a variable of such a layer, or `moped_delta` is missing for a
        Flipout layer with a deterministic base.
    """
    bayesian = [part for part in model.bayesian_layers if wanted(part.name)]
    values = {}
    for name in model.named_variables():
        layer, _, variable = name.rpartition("/")
        if not wanted(layer):
            continue
        if name in base:
            values[name] = base[name]
        elif variable not in ("kernel_loc", "kernel_rho") or f"{layer}/kernel" not in base:
            raise UserError(
                f"the base has no {name}; start from a network of the same depth, whose layers are "
                "deterministic or of the same kind as the new ones"
            )
        elif variational.moped_delta is None:
            raise UserError(
                f"layer {layer} is Flipout, but deterministic in the base; set the initial width "
                "of its posterior, e.g. variational.moped_delta=0.1"
            )
    model.assign(values, partial=True)
    for part in bayesian:
        if variational.moped_delta is not None and f"{part.name}/kernel_loc" not in base:
            kernel = base[f"{part.name}/kernel"]
            stddev = np.maximum(variational.moped_delta * np.abs(kernel), MIN_STDDEV)
            part.set_posterior(kernel, stddev)
        if variational.prior == "pretrained":
            part.set_prior_to_posterior()
