"""What a model directory keeps of a calibration: a part of `assets.extra/vipann.json`.

This module does not import TensorFlow.
"""

from typing import Literal

import pydantic

__all__ = ["Calibration", "ConformalThresholds", "DetectionThresholds"]


class ConformalThresholds(pydantic.BaseModel):
    """Thresholds of prediction sets, on probabilities at the calibration's temperature.

    `vipann_tf.uncertainty.conformal` defines them. `null` is infinite: there were too few clips for
    the coverage, and every label is in every set.

    Attributes:
      coverage: Probability in (0, 1) that a set contains the true label.
      method: `aps` or `threshold` (multiclass); `label` (multilabel).
      clips: Number of clips that they were fitted on.
      threshold: Threshold of the scores (multiclass).
      present, absent: Thresholds of each label's presence and absence (multilabel).
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    coverage: float = pydantic.Field(gt=0, lt=1)
    method: Literal["aps", "threshold", "label"]
    clips: int
    threshold: float | None = None
    present: list[float | None] = []
    absent: list[float | None] = []


class DetectionThresholds(pydantic.BaseModel):
    """Thresholds of detections, on probabilities at the calibration's temperature.

    `vipann_tf.uncertainty.thresholds` chooses them.

    Attributes:
      measure: `precision` or `recall`.
      wanted: What the measure had to reach on the calibration's clips, in (0, 1].
      clips: Number of clips that they were chosen on.
      clip_seconds: Length of these clips, slowed down as the model hears them.
      thresholds: The least probability with which each label is detected; `null` for a label that
        has none, for want of clips or because it does not reach what is wanted.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    measure: Literal["precision", "recall"]
    wanted: float = pydantic.Field(gt=0, le=1)
    clips: int
    clip_seconds: float
    thresholds: list[float | None]

    @property
    def summary(self) -> str:
        """What they promise, in words."""
        some = sum(threshold is not None for threshold in self.thresholds)
        return (
            f"{self.measure} {self.wanted:g} or more on {self.clips} clips of "
            f"{self.clip_seconds:g} s, for {some} of {len(self.thresholds)} labels"
        )


class Calibration(pydantic.BaseModel):
    """The calibration of a network's confidence.

    Attributes:
      temperature: Divides the logits of every draw before the sigmoid or softmax.
      conformal: Thresholds of prediction sets, if requested.
      detection: Thresholds of detections, if requested.
      fitted_on: The splits that it was fitted on, as `<dataset>/<split>`.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    temperature: float = pydantic.Field(default=1.0, gt=0)
    conformal: ConformalThresholds | None = None
    detection: DetectionThresholds | None = None
    fitted_on: list[str] = []
