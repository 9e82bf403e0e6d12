"""What a network and its head alone have in common: layers whose names identify their variables."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from vipann_tf.models.posterior import KernelPosterior, sum_of_kl


class NamedLayers:
    """A mixin for what has its layers in a `Chain`, as `network`."""

    network: Any

    @property
    def bayesian_layers(self) -> list[KernelPosterior]:
        """The Flipout layers, in order."""
        return [part for part in self.network.parts() if isinstance(part, KernelPosterior)]

    def kl(
        self, reduction: str = "sum", stddevs: Mapping[str, tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Return the KL of the layers being trained, in nats; see `posterior.sum_of_kl`."""
        return sum_of_kl(self.bayesian_layers, reduction, stddevs)

    def named_variables(self) -> dict[str, tf.Variable]:
        """Return every variable, without the priors, by its name `<layer>/<variable>`."""
        named = {}
        for part in self.network.parts():
            bayesian = isinstance(part, KernelPosterior)
            for variable in part.stored_variables() if bayesian else part.weights:
                named[f"{part.name}/{variable.name.split('/')[-1].split(':')[0]}"] = variable
        return named

    def assign(self, values: Mapping[str, npt.ArrayLike], *, partial: bool = False) -> None:
        """Give the variables new values.

        Args:
          values: Arrays or variables by the names of `named_variables`.
          partial: Whether variables may be left out, and then keep their values.

        Raises:
          ValueError: A value has no variable or, unless `partial`, a variable has no value.
        """
        variables = self.named_variables()
        wrong = values.keys() - variables if partial else values.keys() ^ variables
        if wrong:
            raise ValueError(f"the network and the values differ in {', '.join(sorted(wrong)[:6])}")
        for name, value in values.items():
            variables[name].assign(value)
