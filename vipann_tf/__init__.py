"""Bayesian audio tagging in Keras and TensorFlow Probability.

The names of `__all__` are public; each is imported when it is first used, so that importing the
package takes no TensorFlow and no time. Everything else may change without notice.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vipann_tf.errors import UserError as UserError
    from vipann_tf.evaluation.calibrate import calibrate as calibrate
    from vipann_tf.evaluation.compare import compare as compare
    from vipann_tf.evaluation.evaluate import evaluate as evaluate
    from vipann_tf.evaluation.rank import rank as rank
    from vipann_tf.models.architecture import Architecture as Architecture
    from vipann_tf.models.randomness import Draw as Draw
    from vipann_tf.models.vipann import VIPANN as VIPANN
    from vipann_tf.recipes import PretrainRecipe as PretrainRecipe
    from vipann_tf.recipes import TransferRecipe as TransferRecipe
    from vipann_tf.recipes import load_recipe as load_recipe
    from vipann_tf.records.prepare import prepare as prepare
    from vipann_tf.saved_model.connection import connect as connect
    from vipann_tf.saved_model.ensembling import ensemble as ensemble
    from vipann_tf.saved_model.load import load_model as load_model
    from vipann_tf.saved_model.predict import Predictor as Predictor
    from vipann_tf.saved_model.timeline import Listener as Listener
    from vipann_tf.training.laplace import add_laplace_head as add_laplace_head
    from vipann_tf.training.pretrain import pretrain as pretrain
    from vipann_tf.training.transfer import transfer as transfer

__version__ = "0.1.0"

# Where each public name is defined.
_HOMES = {
    "Architecture": "vipann_tf.models.architecture",
    "Draw": "vipann_tf.models.randomness",
    "Listener": "vipann_tf.saved_model.timeline",
    "Predictor": "vipann_tf.saved_model.predict",
    "PretrainRecipe": "vipann_tf.recipes",
    "TransferRecipe": "vipann_tf.recipes",
    "UserError": "vipann_tf.errors",
    "VIPANN": "vipann_tf.models.vipann",
    "add_laplace_head": "vipann_tf.training.laplace",
    "calibrate": "vipann_tf.evaluation.calibrate",
    "compare": "vipann_tf.evaluation.compare",
    "connect": "vipann_tf.saved_model.connection",
    "ensemble": "vipann_tf.saved_model.ensembling",
    "evaluate": "vipann_tf.evaluation.evaluate",
    "load_model": "vipann_tf.saved_model.load",
    "load_recipe": "vipann_tf.recipes",
    "prepare": "vipann_tf.records.prepare",
    "pretrain": "vipann_tf.training.pretrain",
    "rank": "vipann_tf.evaluation.rank",
    "transfer": "vipann_tf.training.transfer",
}

__all__ = [
    "VIPANN",
    "Architecture",
    "Draw",
    "Listener",
    "Predictor",
    "PretrainRecipe",
    "TransferRecipe",
    "UserError",
    "__version__",
    "add_laplace_head",
    "calibrate",
    "compare",
    "connect",
    "ensemble",
    "evaluate",
    "load_model",
    "load_recipe",
    "prepare",
    "pretrain",
    "rank",
    "transfer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
