"""What a model knows and does not know: pure functions on arrays.

`from_draws` takes the probabilities of draws, of any library, and returns NumPy arrays and numbers.
The modules have the parts. Each is imported when it is first used, and only `decomposition`,
`draws` and a call of `from_draws` need TensorFlow. Truth is multi-hot [clips, labels], or for
multiclass also integers [clips].

    description           all of it in one call: `from_draws`
    decomposition         total, aleatoric and epistemic uncertainty, streaming over draws
    draws                 standard errors over draws, how many draws suffice
    calibration           ECE and related scores; counting and scoring are separate
    consistency           the ECE that chance alone would show
    miscalibration        is it calibrated? Over- or underconfident, by three tests
    poisson_binomial      how many of some independent events come true
    scores                NLL and Brier score per clip, the Brier score's parts
    metrics               accuracy, mAP, NLL, ECE and the other numbers of a data set
    selective             does the uncertainty rank the errors? Risk-coverage and AUROC
    ood                   does the model notice sounds of another kind?
    temperature           repair: temperature scaling
    conformal             repair: sets that hold the truth with a stated probability
    thresholds            per label, for a wanted precision or recall
    presence              was a label present at all in a period?
    laplace               a normal posterior around the trained weights of a last layer
    bootstrap             intervals over clips, of means over clips
    jackknife             intervals over clips, of means over labels
    ranking               AUROC and AP of all resamples at once
    confidence_intervals  closed-form intervals of a share, of one label's AUROC and AP, of a mean
    arrays                checks of the arrays that all of them take
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vipann_tf.uncertainty import bootstrap as bootstrap
    from vipann_tf.uncertainty import calibration as calibration
    from vipann_tf.uncertainty import conformal as conformal
    from vipann_tf.uncertainty import decomposition as decomposition
    from vipann_tf.uncertainty import draws as draws
    from vipann_tf.uncertainty import metrics as metrics
    from vipann_tf.uncertainty import miscalibration as miscalibration
    from vipann_tf.uncertainty import ood as ood
    from vipann_tf.uncertainty import scores as scores
    from vipann_tf.uncertainty import selective as selective
    from vipann_tf.uncertainty import temperature as temperature
    from vipann_tf.uncertainty import thresholds as thresholds
    from vipann_tf.uncertainty.description import Uncertainty as Uncertainty
    from vipann_tf.uncertainty.description import from_draws as from_draws

# Names that are no modules.
_HOMES = {
    "Uncertainty": "vipann_tf.uncertainty.description",
    "from_draws": "vipann_tf.uncertainty.description",
}

__all__ = [
    "Uncertainty",
    "bootstrap",
    "calibration",
    "conformal",
    "decomposition",
    "draws",
    "from_draws",
    "metrics",
    "miscalibration",
    "ood",
    "scores",
    "selective",
    "temperature",
    "thresholds",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
