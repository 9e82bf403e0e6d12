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
    raven,
    shipsear,
    urbansound8k,
)
from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.datasets.hold_out import check_hold_out, hold_out
from vipann_tf.datasets.tree import SourceTree
from vipann_tf.datasets.windowing import check_window, cut_into_windows
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["DATASETS", "Clip", "Dataset", "Rejection", "Source", "SourceTree", "find", "load"]


# Options of all layouts of one's own recordings, beside those of their `load`.
_WINDOW_OPTIONS = ("windows", "hop")
_HOLD_OUT_OPTIONS = ("folds", "holdout", "seed")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset that `prepare` knows.

    Attributes:
      name: Its name on the command line.
      summary: A short description.
      layout: The layout of its source directory; empty if it has none.
      load: A function that lists it: `load(tree, **options) -> Source`, or without `tree` if it has
        no source.
      own: Whether it is a layout of the user's own recordings, which can be cut into windows and of
        which a part can be held out.
    """

    name: str
    summary: str
    layout: str
    load: Callable[..., Source]
    own: bool = False

    @property
    def needs_source(self) -> bool:
        """Whether it is read from a directory given by the user."""
        return bool(self.layout)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that `vipann_tf.datasets.load` takes for it."""
        parameters = inspect.signature(self.load).parameters
        names = [name for name in parameters if name != "tree"]
        if self.own:
            names += [name for name in (*_WINDOW_OPTIONS, *_HOLD_OUT_OPTIONS) if name not in names]
        return tuple(names)


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
        Dataset(
            "folder", "your recordings, one folder per class", folder.LAYOUT, folder.load, own=True
        ),
        Dataset(
            "csv",
            "your recordings, listed in a CSV file",
            csv_file.LAYOUT,
            csv_file.load,
            own=True,
        ),
        Dataset(
            "raven",
            "your recordings with tables of Raven or Audacity, in windows",
            raven.LAYOUT,
            raven.load,
            own=True,
        ),
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
    """List a dataset's clips, and for one's own recordings cut them and hold some out.

    Args:
      name: A key of `DATASETS`.
      source: Its directory; `None` for a dataset that has none.
      **options: Arguments of the dataset's `load`. For the user's own recordings also `windows` and
        `hop`, in seconds (see `windowing.cut_into_windows`), and `folds` or `holdout` with a `seed`
        (see `hold_out.hold_out`). `None` values are dropped, so that a command line can pass all
        its options.

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
    found = _load_own(dataset, tree, options) if dataset.own else dataset.load(tree, **options)
    return dataclasses.replace(found, notices=(*tree.notices, *found.notices))


def _load_own(dataset: Dataset, tree: SourceTree, options: dict[str, Any]) -> Source:
    """List the user's own recordings, cut them into windows, and hold a part out."""
    held = {key: options.pop(key) for key in _HOLD_OUT_OPTIONS if key in options}
    if "seed" in held and len(held) == 1:
        raise UserError("seed draws what is held out; give folds or holdout, too")
    own = inspect.signature(dataset.load).parameters
    cut = {key: options.pop(key) for key in _WINDOW_OPTIONS if key in options and key not in own}
    if "hop" in cut and "windows" not in cut:
        raise UserError("hop is the time between windows; give windows, too")
    # Refused before a large directory is listed.
    if cut:
        check_window(cut["windows"], cut.get("hop"))
    if held:
        check_hold_out(**held)
    listed = dataset.load(tree, **options)
    if cut:
        listed = cut_into_windows(listed, cut["windows"], cut.get("hop"))
    return hold_out(listed, **held) if held else listed
