"""The reductions and weights of the training loss, as data; `loss` computes it."""

from typing import Literal

import pydantic


class Objective(pydantic.BaseModel):
    """The reductions and weights of the terms of the loss.

    Attributes:
      nll_reduction: Reduction over the labels of a multilabel clip: `sum` is the likelihood of
        independent labels; `mean` is the binary cross-entropy that PANNs use.
      kl_reduction: Reduction over the weights of a layer: with `sum`, the loss is the negative
        ELBO; `mean`, which the published checkpoint used, divides by the layer's number of weights.
        Layers are always summed.
      kl_weight: Factor of the KL term; 1 is the ELBO. Another factor w makes a tempered posterior:
        the optimum is proportional to p(data | weights)^(1/w) p(weights), so w is its temperature
        (below 1 it is a cold posterior; Wenzel et al., arXiv 2002.02405, section 2.3).
      kl_warmup_steps: Number of steps in which the factor rises linearly from 0 to `kl_weight`.
      kl_cycle_steps: If above 0, the period after which the rise starts again (cyclical annealing,
        Fu et al., arXiv 1903.10145, equation 6, with R = kl_warmup_steps / kl_cycle_steps).
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    nll_reduction: Literal["sum", "mean"] = "sum"
    kl_reduction: Literal["sum", "mean"] = "mean"
    kl_weight: float = pydantic.Field(default=1.0, ge=0)
    kl_warmup_steps: int = pydantic.Field(default=0, ge=0)
    kl_cycle_steps: int = pydantic.Field(default=0, ge=0)

    @pydantic.model_validator(mode="after")
    def _cycles_rise(self) -> "Objective":
        if self.kl_cycle_steps and not 0 < self.kl_warmup_steps <= self.kl_cycle_steps:
            raise ValueError(
                f"kl_cycle_steps is {self.kl_cycle_steps} and kl_warmup_steps "
                f"{self.kl_warmup_steps}; a cycle needs a rise of at least one step that "
                "fits into it"
            )
        return self
