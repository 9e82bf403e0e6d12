"""How the terms of the training loss are reduced and weighted, as data; `loss` computes them."""

from typing import Literal

import pydantic


class Objective(pydantic.BaseModel):
    """How the terms of the loss are reduced and weighted.

    Attributes:
      nll_reduction: Over the labels of a multilabel clip: `sum` is the likelihood of independent
        labels; `mean` is the binary cross-entropy as PANNs train with.
      kl_reduction: Over the weights of a layer: `sum` is the divergence, and the loss the ELBO;
        `mean` is what the published checkpoint was trained with, smaller by a factor of the
        layer's number of weights. Layers are added up in both.
      kl_weight: Factor of the KL term; 1 is the ELBO.
      kl_warmup_steps: The factor rises linearly from 0 to `kl_weight` over so many steps.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    nll_reduction: Literal["sum", "mean"] = "sum"
    kl_reduction: Literal["sum", "mean"] = "mean"
    kl_weight: float = pydantic.Field(default=1.0, ge=0)
    kl_warmup_steps: int = pydantic.Field(default=0, ge=0)
