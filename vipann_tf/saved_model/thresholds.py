"""The thresholds of detections in recordings: one number, or those that a calibration chose.

This module does not import TensorFlow.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.saved_model.metadata import ModelInfo
from vipann_tf.saved_model.stored_calibration import DetectionThresholds

__all__ = ["Threshold", "label_thresholds", "threshold_notices"]

Threshold = float | Literal["calibrated"]
_NAMED = 20  # labels that a notice names; vipann.json has all


def label_thresholds(info: ModelInfo, threshold: Threshold, name: StrPath) -> NDArray[np.float32]:
    """Return the least probability with which each label is detected.

    Args:
      info: The model.
      threshold: A number for all labels, or "calibrated": what `vipann-tf calibrate` has stored.
      name: The model in messages.

    Returns:
      float32 `[labels]`, the type of the probabilities; NaN for a label that is never detected,
      because the calibration found no threshold for it. `threshold_notices` names these.

    Raises:
      UserError: The number is not in [0, 1]; or no threshold was stored, or none for any label.
    """
    if not isinstance(threshold, str):
        if not 0 <= threshold <= 1:  # NaN fails too
            raise UserError(f"threshold is {threshold}; it must be in [0, 1]")
        return np.full(info.architecture.labels, threshold, np.float32)
    stored = _stored(info, name)
    values = [np.nan if value is None else value for value in stored.thresholds]
    if np.isnan(values).all():
        raise UserError(
            f"{name} has no threshold for any label: none reached a {stored.measure} of "
            f"{stored.wanted:g} or had enough clips; give a number, or calibrate it with more clips"
        )
    return np.array(values, np.float32)


def threshold_notices(
    info: ModelInfo,
    threshold: Threshold,
    labels: Sequence[str],
    name: StrPath,
    *,
    window_s: float | None = None,
) -> tuple[Notice, ...]:
    """Return what is to be known of a model's thresholds before they are used.

    Args:
      info: The model.
      threshold: As in `label_thresholds`; of a number there is nothing to know.
      labels: Label names in the order of the outputs.
      name: The model in the notices.
      window_s: Length of the windows, in seconds as the model hears them.

    Raises:
      UserError: No threshold was stored.
    """
    if not isinstance(threshold, str):
        return ()
    stored, path, notices = _stored(info, name), str(name), []
    without = [label for label, x in zip(labels, stored.thresholds, strict=True) if x is None]
    if without:
        more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        detail = (
            f"{len(without)} of {len(labels)} labels have no calibrated threshold and are never "
            f"detected: {', '.join(without[:_NAMED])}{more}"
        )
        notices.append(Notice(path, "", "labels-without-threshold", detail))
    if window_s is not None and abs(window_s - stored.clip_seconds) > 1e-6:
        detail = (
            f"the thresholds were chosen on clips of {stored.clip_seconds:g} s, and windows have "
            f"{window_s:g} s; their {stored.measure} may differ"
        )
        notices.append(Notice(path, "", "thresholds-of-another-length", detail))
    return tuple(notices)


def _stored(info: ModelInfo, name: StrPath) -> DetectionThresholds:
    if info.calibration.detection is None:
        raise UserError(
            f"{name} has no calibrated thresholds; give a number, or make them by vipann-tf "
            "calibrate with --precision 0.9 or --recall 0.8"
        )
    return info.calibration.detection
