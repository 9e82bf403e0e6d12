"""Recipes: every value that affects the outcome of a training run, typed, read from YAML.

A recipe is complete in itself: what the file leaves out has the default shown here, and the resolved
recipe, defaults included, is stored beside the model that it made.
"""

import difflib
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import yaml

from vipann_tf.errors import UserError
from vipann_tf.models.architecture import Kind, Signs
from vipann_tf.models.objective import Objective

Strategy = Literal["det", "drop", "flip", "det-flip"]
Mode = Literal["fixed", "finetune"]

Positive = Annotated[float, pydantic.Field(gt=0)]
NonNegative = Annotated[float, pydantic.Field(ge=0)]
Count = Annotated[int, pydantic.Field(ge=1)]
CountOrNone = Annotated[int, pydantic.Field(ge=0)]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Network(_Section):
    """The network to pretrain; see `vipann_tf.models.architecture.Architecture`."""

    kind: Kind = "deterministic"
    depth: Literal[22, 38, 54] = 54
    width: float = 1.0
    head: Kind | None = pydantic.Field(
        None,
        description="Kind of the head; by default that of the trunk, but deterministic under a "
        "Flipout trunk, as published.",
    )
    signs: Signs = "channel"
    dropout_conv: float = 0.2
    dropout_dense: float = 0.5
    dropout_block: float = 0.1


class Data(_Section):
    """Which clips, and how they are read."""

    train: list[str] | None = pydantic.Field(
        None, description="Splits to train on; by default `train`, or all folds but the held-out one."
    )
    on_corrupt: Literal["stop", "skip"] = pydantic.Field(
        "stop", description="What to do at a damaged record; `skip` logs it and goes on."
    )
    balance: bool = pydantic.Field(False, description="Sample rare labels more often.")


class Augment(_Section):
    """Random changes of the training clips; 0 or false leaves one out."""

    mixup_alpha: NonNegative = 0.0
    spec_augment: bool = False
    time_shift_s: NonNegative = 0.0
    gain_db: NonNegative = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.mixup_alpha or self.spec_augment or self.time_shift_s or self.gain_db)


class Optimizer(_Section):
    """Adam (arXiv 1412.6980), with decoupled weight decay where asked for."""

    learning_rate: Positive = 1e-3
    trunk_learning_rate: Positive | None = pydantic.Field(
        None, description="Of the trunk, under the same schedule; by default that of the head."
    )
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: CountOrNone = 0
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    ema_momentum: Annotated[float, pydantic.Field(ge=0, lt=1)] | None = pydantic.Field(
        None, description="Export an exponential moving average of the weights, of this momentum."
    )


class Training(_Section):
    """How long, how precisely, and with which random numbers."""

    batch_size: Count = 32
    epochs: Positive = 10
    steps: Count | None = pydantic.Field(None, description="Overrides `epochs`.")
    seed: CountOrNone = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    synchronized_batch_norm: bool = False
    xla: bool = pydantic.Field(False, description="Compile the step with XLA; one device only.")
    deterministic_ops: bool | None = pydantic.Field(
        None,
        description="Operations that give the same bits in every run; slower on a GPU. By default "
        "where there is none.",
    )
    checkpoint_every_steps: Count = 500
    keep_checkpoints: Count = 3


class Validation(_Section):
    """Scores on clips that are not trained on, while training."""

    splits: list[str] = pydantic.Field([], description="Splits to score; none by default.")
    every_epochs: Positive = 1.0
    samples: Count = pydantic.Field(4, description="Draws of the posterior.")
    metric: Literal[
        "nll", "brier", "ece", "accuracy", "macro_f1", "map", "auc", "d_prime"
    ] = pydantic.Field("nll", description="By which one network is better than another.")
    patience: Count | None = pydantic.Field(
        None,
        description="Stop after so many scores in a row without a better one, and keep the best "
        "network.",
    )

    @pydantic.model_validator(mode="after")
    def _patience_needs_splits(self):
        if self.patience is not None and not self.splits:
            raise ValueError("patience needs splits to validate on, e.g. validation.splits=[eval]")
        return self


class Variational(_Section):
    """Priors and initial posteriors of Flipout layers."""

    prior: Literal["normal", "pretrained"] = pydantic.Field(
        "normal", description="`pretrained`: the prior of a transferred trunk is its posterior."
    )
    prior_stddev: Positive = 1.0
    initial_stddev: Positive = pydantic.Field(
        0.048587351573742, description="Of the posterior; softplus(-3) as published."
    )
    moped_delta: Positive | None = pydantic.Field(
        None,
        description="Start a Flipout trunk from a deterministic base, with standard deviations of "
        "this share of each weight's size (MOPED, arXiv 1906.05323).",
    )


class Export(_Section):
    """What `serving_default` of the SavedModel does."""

    samples: Count = 20
    seed: CountOrNone = 0


class PretrainRecipe(_Section):
    """Everything `vipann-tf pretrain` needs beside its data."""

    model: Network = Network()
    data: Data = Data()
    augment: Augment = Augment()
    optimizer: Optimizer = Optimizer()
    objective: Objective = Objective()
    training: Training = Training()
    validation: Validation = Validation()
    variational: Variational = Variational()
    export: Export = Export()


class TransferRecipe(_Section):
    """Everything `vipann-tf transfer` needs beside its base model and data."""

    strategy: Strategy | None = None
    mode: Mode = "finetune"
    data: Data = Data()
    augment: Augment = Augment()
    optimizer: Optimizer = Optimizer()
    objective: Objective = Objective()
    training: Training = Training()
    validation: Validation = Validation()
    variational: Variational = Variational()
    export: Export = Export()
    dropout_dense: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.5


Recipe = TypeVar("Recipe", PretrainRecipe, TransferRecipe)


def load_recipe(kind: type[Recipe], path: str | Path | None, settings: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and applies overrides.

    Args:
      kind: `PretrainRecipe` or `TransferRecipe`.
      path: A YAML file, or the name of a shipped recipe such as `pretrain/quickstart_flipout`;
        `None` for the defaults.
      settings: Overrides `section.key=value`, the value being YAML.

    Raises:
      UserError: The file, a key or a value is wrong; the message names it and what is allowed.
    """
    origin = "the defaults"
    values: dict[str, Any] = {}
    if path is not None:
        file = find_recipe(path)
        origin = str(path)
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise UserError(f"{path} holds a {type(values).__name__}; a recipe is a YAML mapping")
    for setting in settings:
        _override(values, setting)
    try:
        return kind.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError(f"recipe ({origin}): {_explain(kind, error)}") from error


def find_recipe(path: str | Path) -> Path:
    """The file of a recipe: a path, or a name below the shipped `recipes` directory."""
    if Path(path).is_file():
        return Path(path)
    for root in _shipped():
        for candidate in (root / path, root / f"{path}.yaml"):
            if candidate.is_file():
                return candidate
    names = sorted(
        str(file.relative_to(root).with_suffix("")) for root in _shipped() for file in root.rglob("*.yaml")
    )
    close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.3) or names
    raise UserError(f"no recipe {path}: give a YAML file, or a shipped recipe such as {', '.join(close)}")


def _shipped() -> list[Path]:
    """Where recipes lie: in a checkout beside the package, else where the wheel put them."""
    places = (
        Path(__file__).resolve().parents[1] / "recipes",
        Path(sysconfig.get_path("data")) / "share" / "vipann-tf" / "recipes",
    )
    return [place for place in places if place.is_dir()]


def _override(values: dict, setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {setting!r} is not KEY=VALUE, e.g. optimizer.learning_rate=1e-4")
    *sections, leaf = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {setting!r}: {section} is a value, not a section")
    try:
        values[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {setting!r}: the value is not YAML") from error


def _explain(kind: type[pydantic.BaseModel], error: pydantic.ValidationError) -> str:
    """The first mistakes of a recipe, in one line."""
    texts = []
    for item in error.errors()[:3]:
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "value_error" and isinstance(item["input"], dict):
            texts.append(f"{key}: {item['msg'].removeprefix('Value error, ')}")
        elif item["type"] == "extra_forbidden":
            texts.append(f"unknown key {key}; {_nearest(kind, item['loc'])}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            texts.append(f"{key} is {item['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(texts)


def _nearest(kind: type[pydantic.BaseModel], location: tuple) -> str:
    """What may stand where an unknown key stands."""
    for section in location[:-1]:
        kind = kind.model_fields[section].annotation
    fields = list(kind.model_fields)
    close = difflib.get_close_matches(str(location[-1]), fields, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(fields)}"
