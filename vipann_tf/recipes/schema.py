"""Recipes: every value that affects the outcome of a training run, typed, read from YAML.

A recipe is complete: values that the file leaves out have the defaults shown here, and the resolved
recipe, defaults included, is stored with the trained model.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pydantic

from vipann_tf.choices import LaplacePrecision, Mode, Strategy
from vipann_tf.former_names import with_present_names
from vipann_tf.models.architecture import Depth, Kind, Signs
from vipann_tf.models.objective import Objective

__all__ = [
    "Augment",
    "Data",
    "Export",
    "Mode",
    "Network",
    "Optimizer",
    "PretrainRecipe",
    "Section",
    "Strategy",
    "Training",
    "TrainingRecipe",
    "TransferRecipe",
    "Validation",
    "Variational",
]

Positive = Annotated[float, pydantic.Field(gt=0)]
NonNegative = Annotated[float, pydantic.Field(ge=0)]
Count = Annotated[int, pydantic.Field(ge=1)]
Share = Annotated[float, pydantic.Field(gt=0, le=1)]
CountOrNone = Annotated[int, pydantic.Field(ge=0)]


class Section(pydantic.BaseModel):
    """A part of a recipe: unknown keys are refused.

    Attributes:
      former_names: Keys of earlier versions, which recipes may still use -> current keys.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    former_names: ClassVar[Mapping[str, str]] = {}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, values: Any) -> Any:
        return with_present_names(values, cls.former_names)


class Network(Section):
    """The network to pretrain; see `vipann_tf.models.architecture.Architecture`."""

    kind: Kind = "deterministic"
    depth: Depth = 54
    width: float = 1.0
    head: Kind | None = pydantic.Field(
        default=None,
        description="Kind of the head; by default that of the trunk, but deterministic under a "
        "Flipout trunk, as published.",
    )
    signs: Signs = "channel"
    dropout_conv: float = 0.2
    dropout_dense: float = 0.5
    dropout_block: float = 0.1


class Data(Section):
    """The clips to train on, and how they are read."""

    train: list[str] | None = pydantic.Field(
        default=None,
        description="Splits to train on; by default `train`, or all folds but the held-out one.",
    )
    on_corrupt: Literal["stop", "skip"] = pydantic.Field(
        default="stop", description="What to do at a damaged record; `skip` logs it and continues."
    )
    balance: bool = pydantic.Field(default=False, description="Sample rare labels more often.")
    fraction: Share = pydantic.Field(
        default=1.0,
        description="Share of the training clips to train on, label by label; `training.seed` "
        "chooses them. A smaller share is part of a larger one.",
    )
    allow_empty_labels: bool = pydantic.Field(
        default=False,
        description="Train even if a label has no clip to train on, which the model will then "
        "never answer.",
    )


class Augment(Section):
    """Random changes of the training clips; 0 or false leaves one out."""

    mixup_alpha: NonNegative = 0.0
    spec_augment: bool = False
    time_shift_s: NonNegative = 0.0
    gain_db: NonNegative = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.mixup_alpha or self.spec_augment or self.time_shift_s or self.gain_db)


class Optimizer(Section):
    """Adam (arXiv 1412.6980), with optional decoupled weight decay."""

    learning_rate: Positive = 1e-3
    trunk_learning_rate: Positive | None = pydantic.Field(
        default=None,
        description="Learning rate of the trunk, under the same schedule; by default the head's.",
    )
    stddev_learning_rate_factor: Positive = pydantic.Field(
        default=1.0,
        description="Learning rate of the posterior standard deviations (of rho), as a multiple of "
        "the learning rate of the layer's mean. Adam moves a parameter by at most its learning "
        "rate per step, and rho has far to go.",
    )
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: CountOrNone = 0
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    ema_momentum: Annotated[float, pydantic.Field(ge=0, lt=1)] | None = pydantic.Field(
        default=None,
        description="Export an exponential moving average of the weights, of this momentum.",
    )


class Training(Section):
    """Length, precision and random numbers of the training."""

    batch_size: Count = 32
    epochs: Positive = 10
    steps: Count | None = pydantic.Field(default=None, description="Overrides `epochs`.")
    seed: CountOrNone = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    synchronized_batch_norm: bool = False
    xla: bool = pydantic.Field(
        default=False, description="Compile the step with XLA; one device only."
    )
    deterministic_ops: bool | None = pydantic.Field(
        default=None,
        description="Use operations that give the same bits in every run; slower on a GPU. By "
        "default on machines without one.",
    )
    checkpoint_every_steps: Count = 500
    keep_checkpoints: Count = 3

    def steps_for(self, clips: int) -> int:
        """Return the number of steps of a training on some clips."""
        return self.steps or math.ceil(self.epochs * clips / self.batch_size)


class Validation(Section):
    """Scores during training, on clips that are not trained on."""

    former_names: ClassVar[Mapping[str, str]] = {"samples": "num_draws"}
    splits: list[str] = pydantic.Field(default=[], description="Splits to score; none by default.")
    every_epochs: Positive = 1.0
    num_draws: Count = pydantic.Field(default=4, description="Number of draws of the posterior.")
    metric: Literal["nll", "brier", "ece", "accuracy", "macro_f1", "map", "auc", "d_prime"] = (
        pydantic.Field(default="nll", description="Metric by which the best network is chosen.")
    )
    patience: Count | None = pydantic.Field(
        default=None,
        description="Stop after this many scores in a row without improvement, and keep the best "
        "network.",
    )

    @pydantic.model_validator(mode="after")
    def _patience_needs_splits(self) -> "Validation":
        if self.patience is not None and not self.splits:
            raise ValueError("patience needs splits to validate on, e.g. validation.splits=[eval]")
        return self


class Variational(Section):
    """Priors and initial posteriors of Flipout layers, and the prior of a Laplace head."""

    prior: Literal["normal", "pretrained", "empirical"] = pydantic.Field(
        default="normal",
        description="`pretrained`: the prior of a transferred trunk is its posterior. `empirical`: "
        "the variance of each layer's prior is the best one for its posterior.",
    )
    prior_stddev: Positive = 1.0
    initial_stddev: Positive | Literal["auto"] = pydantic.Field(
        default=0.048587351573742,
        description="Standard deviation of the initial posterior; softplus(-3), as published. "
        "`auto` is a tenth of the standard deviation of the layer's initial mean.",
    )
    moped_delta: Positive | None = pydantic.Field(
        default=None,
        description="Start Flipout layers from those of a deterministic base, with standard "
        "deviations of this share of each weight's size (MOPED, arXiv 1906.05323).",
    )
    laplace_precision: Positive | LaplacePrecision = pydantic.Field(
        default="weights",
        description="Precision of the prior of a Laplace head (`det-laplace`), 1 / variance. "
        "`weights`: the prior fits the trained weights, 1 / mean(W^2). `evidence`: the prior with "
        "the largest evidence, which is far too wide after a training without weight decay.",
    )


class Export(Section):
    """The settings of the SavedModel's `serving_default`."""

    former_names: ClassVar[Mapping[str, str]] = {"samples": "num_draws", "draws": "draw_storage"}
    num_draws: Count = 20
    seed: CountOrNone = 0
    draw_storage: Literal["sampled", "stored"] | None = pydantic.Field(
        default=None,
        description="Draw the networks in each request, or store them in the SavedModel. By "
        "default they are stored if only the head is random and they need at most 64 MiB.",
    )
    batch_norm: Literal["auto", "stored", "draw"] = pydantic.Field(
        default="stored",
        description="BatchNorm statistics of the draws of a random trunk: the `stored` ones of the "
        "training, or those of each `draw`, estimated on training clips (no other draws can then "
        "be asked for). `auto` is `draw` for a Flipout trunk with signs per channel.",
    )


class TrainingRecipe(Section):
    """What the recipes of pretraining and transfer have in common."""

    data: Data = Data()
    augment: Augment = Augment()
    optimizer: Optimizer = Optimizer()
    objective: Objective = Objective()
    training: Training = Training()
    validation: Validation = Validation()
    variational: Variational = Variational()
    export: Export = Export()


class PretrainRecipe(TrainingRecipe):
    """Everything `vipann-tf pretrain` needs besides its data."""

    model: Network = Network()


class TransferRecipe(TrainingRecipe):
    """Everything `vipann-tf transfer` needs besides its base model and data."""

    strategy: Strategy | None = None
    mode: Mode = "finetune"
    keep_head: bool = pydantic.Field(
        default=False,
        description="Start the head from that of the base, which must have the same labels; a "
        "Flipout head starts from a deterministic one by `variational.moped_delta`.",
    )
    dropout_dense: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.5
    signs: Signs | None = pydantic.Field(
        default=None,
        description="Where the trunk of `flip` draws its signs: per `channel` or per `activation`; "
        "by default as its base does.",
    )
