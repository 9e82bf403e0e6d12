"""The epistemic uncertainty above which a model does not know a window."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from vipann_tf.errors import UserError
from vipann_tf.evaluation.stored_results import read_results
from vipann_tf.files.paths import StrPath
from vipann_tf.scans.activity import UNKNOWN_QUANTILE

__all__ = ["epistemic_limit"]


def epistemic_limit(
    settings: dict[str, Any], given: float | StrPath | None
) -> tuple[float | None, str]:
    """Return the limit in nats, and where it comes from in words.

    Args:
      settings: Those of the scan, as in scan.json.
      given: Nats; or the results directory of `evaluate` on clips that the model knows and was not
        trained on, whose `UNKNOWN_QUANTILE` is the limit; or `None`.

    Returns:
      `None` and no words if nothing was given.

    Raises:
      UserError: The number is not allowed, or the results are no results, or not of the scan's
        labels and number of draws.
    """
    if given is None:
        return None, ""
    try:
        nats = float(str(given))
    except ValueError:
        return _of_results(settings, str(given))
    if not 0 <= nats < float("inf"):
        raise UserError(f"unknown-above is {given}; use a number of nats from 0, or results")
    return nats, "it was given as a number (--unknown-above)"


def _of_results(settings: dict[str, Any], path: str) -> tuple[float, str]:
    if not os.path.isdir(path):
        raise UserError(
            f"unknown-above is {path!r}, which is neither a number nor a directory of results; give"
            " nats, or what `vipann-tf evaluate --out` made"
        )
    results = read_results(path)
    unknown = [label for label in settings["labels"] if label not in results.summary["labels"]]
    if unknown:
        raise UserError(f"{path} is of another model: it has no label {unknown[0]!r}")
    draws = results.summary["draws"]
    if draws != settings["num_draws"]:
        raise UserError(
            f"{path} has {draws} draws and the scan {settings['num_draws']}; the uncertainties"
            f" compare at one number alone: evaluate with --num-draws {settings['num_draws']}"
        )
    dataset, split = results.place
    values = results.uncertainty[split]["epistemic"]
    return float(np.quantile(values, UNKNOWN_QUANTILE, method="higher")), (
        f"the {100 * UNKNOWN_QUANTILE:.0f} % quantile of {len(values)} clips that the model knows"
        f" ({dataset}, {split})"
    )
