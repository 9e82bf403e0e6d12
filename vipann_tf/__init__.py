"""Bayesian audio tagging in Keras and TensorFlow Probability.

    import vipann_tf as vt

    model = vt.load("everyday-sounds")
    model.predict("dog.wav").top(3)

The names of `__all__` are public; each is imported when it is first used, so that importing the
package takes no TensorFlow and no time. Everything else may change without notice.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vipann_tf import layers as layers
    from vipann_tf import uncertainty as uncertainty
    from vipann_tf.errors import UserError as UserError
    from vipann_tf.evaluation.evaluate import evaluate as evaluate
    from vipann_tf.face.clips import read_clips as read_clips
    from vipann_tf.face.evaluation import calibrate as calibrate
    from vipann_tf.face.evaluation import compare as compare
    from vipann_tf.face.evaluation import rank as rank
    from vipann_tf.face.exporting import export as export
    from vipann_tf.face.model import Model as Model
    from vipann_tf.face.model import load as load
    from vipann_tf.face.networks import resnet54 as resnet54
    from vipann_tf.face.prediction import Prediction as Prediction
    from vipann_tf.face.preparation import prepare as prepare
    from vipann_tf.face.scanning import scan as scan
    from vipann_tf.face.timeline import timeline as timeline
    from vipann_tf.face.training import cross_validate as cross_validate
    from vipann_tf.face.training import pretrain as pretrain
    from vipann_tf.face.training import transfer as transfer
    from vipann_tf.models.architecture import Architecture as Architecture
    from vipann_tf.models.objective import Objective as Objective
    from vipann_tf.models.randomness import Draw as Draw
    from vipann_tf.models.randomness import randomness as randomness
    from vipann_tf.models.vipann import VIPANN as VIPANN
    from vipann_tf.notices import NoticeWarning as NoticeWarning
    from vipann_tf.recipes import PretrainRecipe as PretrainRecipe
    from vipann_tf.recipes import TransferRecipe as TransferRecipe
    from vipann_tf.recipes import load_recipe as load_recipe
    from vipann_tf.saved_model.ensembling import ensemble as ensemble
    from vipann_tf.saved_model.load import load_model as load_model
    from vipann_tf.training.laplace import add_laplace_head as add_laplace_head

__version__ = "0.1.0"

# Where each public name is defined; those of this package are modules.
_HOMES = {
    "Architecture": "vipann_tf.models.architecture",
    "Draw": "vipann_tf.models.randomness",
    "Model": "vipann_tf.face.model",
    "NoticeWarning": "vipann_tf.notices",
    "Objective": "vipann_tf.models.objective",
    "Prediction": "vipann_tf.face.prediction",
    "PretrainRecipe": "vipann_tf.recipes",
    "TransferRecipe": "vipann_tf.recipes",
    "UserError": "vipann_tf.errors",
    "VIPANN": "vipann_tf.models.vipann",
    "add_laplace_head": "vipann_tf.training.laplace",
    "calibrate": "vipann_tf.face.evaluation",
    "compare": "vipann_tf.face.evaluation",
    "cross_validate": "vipann_tf.face.training",
    "ensemble": "vipann_tf.saved_model.ensembling",
    "evaluate": "vipann_tf.evaluation.evaluate",
    "export": "vipann_tf.face.exporting",
    "layers": "vipann_tf",
    "load": "vipann_tf.face.model",
    "load_model": "vipann_tf.saved_model.load",
    "load_recipe": "vipann_tf.recipes",
    "prepare": "vipann_tf.face.preparation",
    "pretrain": "vipann_tf.face.training",
    "randomness": "vipann_tf.models.randomness",
    "rank": "vipann_tf.face.evaluation",
    "read_clips": "vipann_tf.face.clips",
    "resnet54": "vipann_tf.face.networks",
    "scan": "vipann_tf.face.scanning",
    "timeline": "vipann_tf.face.timeline",
    "transfer": "vipann_tf.face.training",
    "uncertainty": "vipann_tf",
}

__all__ = [
    "VIPANN",
    "Architecture",
    "Draw",
    "Model",
    "NoticeWarning",
    "Objective",
    "Prediction",
    "PretrainRecipe",
    "TransferRecipe",
    "UserError",
    "__version__",
    "add_laplace_head",
    "calibrate",
    "compare",
    "cross_validate",
    "ensemble",
    "evaluate",
    "export",
    "layers",
    "load",
    "load_model",
    "load_recipe",
    "prepare",
    "pretrain",
    "randomness",
    "rank",
    "read_clips",
    "resnet54",
    "scan",
    "timeline",
    "transfer",
    "uncertainty",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] == __name__:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
