"""Datasets: their clips, labels and splits. One module per dataset, without TensorFlow."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable
from typing import Any

from vipann_tf.datasets import (
    audioset,
    csv_file,
    dcase2013,
    esc50,
    folder,
    shipsear,
    urbansound8k,
)
from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["DATASETS", "Clip", "Dataset", "Rejection", "Source", "SourceTree", "find", "load"]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset that `prepare` knows.

    Attributes:
      name: Its name on the command line.
      summary: A short description.
      layout: The layout of its source directory; empty if it has none.
      load: A function that lists it: `load(tree, **options) -> Source`, or without `tree` if it has
        no source.
    """

    name: str
    summary: str
    layout: str
    load: Callable[..., Source]

    @property
    def needs_source(self) -> bool:
        """Whether it is read from a directory given by the user."""
        return bool(self.layout)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that `load` takes."""
        parameters = inspect.signature(self.load).parameters
        return tuple(name for name in parameters if name != "tree")


def _synthetic(
    *,
    task: str = "multilabel",
    clips: int | None = None,
    seconds: float = 5.0,
    seed: int = 0,
    folds: int = 5,
) -> Source:
    from vipann_tf.datasets import synthetic  # slow to import

    return synthetic.source(task, clips=clips, seconds=seconds, seed=seed, folds=folds)


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset("audioset", "YouTube clips, 527 labels", audioset.LAYOUT, audioset.load),
        Dataset("esc50", "environmental sounds, five folds", esc50.LAYOUT, esc50.load),
        Dataset("urbansound8k", "city sounds, ten folds", urbansound8k.LAYOUT, urbansound8k.load),
        Dataset("dcase2013", "London scenes", dcase2013.LAYOUT, dcase2013.load),
        Dataset("shipsear", "vessels under water, in windows", shipsear.LAYOUT, shipsear.load),
        Dataset("folder", "your recordings, one folder per class", folder.LAYOUT, folder.load),
        Dataset("csv", "your recordings, listed in a CSV file", csv_file.LAYOUT, csv_file.load),
        Dataset("synthetic", "sound events made from a seed, offline", "", _synthetic),
    )
}


def find(name: str) -> Dataset:
    """Return the dataset of that name.

    Raises:
      UserError: There is none; the message lists the names.
    """
    if name not in DATASETS:
        raise UserError(f"dataset {name!r} is unknown; use one of {', '.join(DATASETS)}")
    return DATASETS[name]


def load(name: str, source: StrPath | SourceTree | None = None, **options: Any) -> Source:
    """List a dataset's clips.

    Args:
      name: A key of `DATASETS`.
      source: Its directory; `None` for a dataset that has none.
      **options: Arguments of the dataset's `load`. `None` values are dropped, so that a command
        line can pass all its options.

    Raises:
      UserError: The dataset or an option is unknown, or the directory is missing or has another
        layout.
    """
    dataset = find(name)
    options = {key: value for key, value in options.items() if value is not None}
    unknown = [key for key in options if key not in dataset.options]
    if unknown:
        allowed = ", ".join(dataset.options) or "none"
        raise UserError(f"dataset {name} has no option {unknown[0]!r}; its options: {allowed}")
    if not dataset.needs_source:
        if source is not None:
            given = source.given if isinstance(source, SourceTree) else os.fspath(source)
            raise UserError(f"dataset {name} has no source, but {given!r} was given")
        return dataset.load(**options)
    if source is None:
        raise UserError(f"dataset {name} needs its source directory: {dataset.layout}")
    tree = source if isinstance(source, SourceTree) else SourceTree(source)
    found = dataset.load(tree, **options)
    return dataclasses.replace(found, notices=(*tree.notices, *found.notices))
