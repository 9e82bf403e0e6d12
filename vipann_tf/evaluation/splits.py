"""Which splits of a data set a model may evaluate, calibrate on and rank.

No TensorFlow in here.
"""

from collections.abc import Sequence

from vipann_tf.errors import UserError
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.metadata import ModelInfo

__all__ = [
    "calibration_splits",
    "check_not_trained_on",
    "evaluation_splits",
    "unfamiliar_splits",
    "unseen_splits",
]

_EVALUATION = ("eval", "test")
_VALIDATION = ("validation", "valid", "val", "dev")


def evaluation_splits(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    """Return the splits held out when this data set trained the model, else `eval` or `test`.

    Raises:
      UserError: The data set has none of them.
    """
    if info.data is not None and info.data.dataset == dataset.name and info.data.held_out:
        return info.data.held_out
    if found := [name for name in _EVALUATION if name in dataset.splits]:
        return found[:1]
    raise UserError(
        f"say which split to evaluate on (--split): dataset {dataset.name} has "
        f"{', '.join(dataset.splits)}, and the model does not say which of them was held out"
    )


def unfamiliar_splits(dataset: DatasetInfo) -> list[str]:
    """Return the splits that stand for sounds of another kind: `eval` and `test`, else all."""
    return [name for name in _EVALUATION if name in dataset.splits] or list(dataset.splits)


def calibration_splits(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    """Return the first validation split, else `evaluation_splits`.

    Raises:
      UserError: The data set has none of them.
    """
    found = [name for name in _VALIDATION if name in dataset.splits]
    return found[:1] or evaluation_splits(info, dataset)


def unseen_splits(info: ModelInfo, dataset: DatasetInfo) -> list[str]:
    """Return the splits that did not train the model.

    Raises:
      UserError: All of them did.
    """
    same = info.data if info.data is not None and info.data.dataset == dataset.name else None
    names = [name for name in dataset.splits if same is None or name not in same.splits]
    if not names:
        raise UserError(
            f"all of {dataset.name} trained the model ({', '.join(dataset.splits)}); name what to "
            "choose from with --split, or give other data"
        )
    return names


def check_not_trained_on(info: ModelInfo, dataset: DatasetInfo, splits: Sequence[str]) -> None:
    """Raise a `UserError` where clips of these splits trained the model, its base or a member."""
    trainings = []
    for made in (info.model_dump(), *info.members):
        trainings += [data for data in (made["data"], (made["base"] or {}).get("data")) if data]
    for training in trainings:
        used = sorted(set(splits) & set(training["splits"]))
        if training["dataset"] == dataset.name and used:
            held = training["held_out"] or [
                name for name in dataset.splits if name not in training["splits"]
            ]
            free = f"use {', '.join(held)}" if held else "use clips that it was not trained on"
            raise UserError(
                f"split {', '.join(used)} of {dataset.name} trained the model, which is surer of "
                f"those clips than of others; {free}"
            )
