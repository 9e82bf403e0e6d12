"""Loading of model directories, as a SavedModel or as a Keras model to train."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.metadata import ModelInfo, read_model_info, version_directory
from vipann_tf.saved_model.safety import check_saved_model

if TYPE_CHECKING:
    from vipann_tf.models.draw_statistics import DrawStatistics
    from vipann_tf.models.ensemble import Ensemble
    from vipann_tf.models.vipann import VIPANN

_KEY = "network_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"
_STATISTICS = re.compile(r"draw_statistics/(.+)/\.ATTRIBUTES/VARIABLE_VALUE")


def load_signatures(path: StrPath, *, trust: bool = False) -> Any:
    """Load the SavedModel at `path`; its functions are in `.signatures`.

    Keep the returned object: its functions work only while it exists.

    Args:
      path: NAME or NAME/1.
      trust: Whether its graph may do more than compute, such as read and write files.

    Raises:
      UserError: There is no SavedModel, it is damaged, or it does more than compute.
    """
    version = version_directory(path)
    if not trust:
        check_saved_model(version, path)
    try:
        return tf.saved_model.load(str(version))
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{path} can't be loaded: its SavedModel is damaged ({error})") from error


def read_variables(path: StrPath) -> dict[str, npt.NDArray[np.float32]]:
    """Read the stored variables of the model at `path`, by `<layer>/<variable>`."""
    info = read_model_info(path)
    try:
        reader = tf.train.load_checkpoint(str(version_directory(path) / "variables" / "variables"))
        return {name: reader.get_tensor(_KEY.format(i)) for i, name in enumerate(info.variables)}
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path} can't be loaded: its variables are damaged ({error})") from error


def load_model(path: StrPath, *, dtype: str = "float32") -> "tuple[VIPANN | Ensemble, ModelInfo]":
    """Rebuild the network at `path` as a Keras model, or its networks as an ensemble of them.

    It reads vipann.json and the numbers in `variables/`. The graph of the SavedModel is not read,
    so a model of unknown origin is safe here.

    Args:
      path: NAME or NAME/1.
      dtype: Keras dtype policy to compute with.

    Returns:
      The `VIPANN` or `Ensemble`, and its `ModelInfo`.
    """
    from vipann_tf.models.ensemble import Ensemble  # not needed to use a SavedModel
    from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
    from vipann_tf.models.vipann import VIPANN

    info = read_model_info(path)
    described = info.architecture
    model: VIPANN | Ensemble
    if isinstance(described, EnsembleArchitecture):
        members = [VIPANN(member, dtype=dtype) for member in described.members]
        model = Ensemble(members, described)
    else:
        model = VIPANN(described, dtype=dtype)
    model.assign(read_variables(path))
    if info.batch_norm == "draw":
        model.draw_statistics = _read_statistics(path, info)
    return model, info


def _read_statistics(path: StrPath, info: ModelInfo) -> "DrawStatistics":
    from vipann_tf.models.draw_statistics import DrawStatistics

    try:
        reader = tf.train.load_checkpoint(str(version_directory(path) / "variables" / "variables"))
        keys = reader.get_variable_to_shape_map()
        found = {key: match[1] for key in keys if (match := _STATISTICS.fullmatch(key))}
        # In a checkpoint's key, a dot of a name is doubled and a slash is ".S".
        names = {"..": ".", ".S": "/"}
        moments = {
            re.sub(r"\.[.S]", lambda match: names[match[0]], name): reader.get_tensor(key)
            for key, name in found.items()
        }
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path} can't be loaded: its variables are damaged ({error})") from error
    return DrawStatistics(
        info.seed,
        {name: tf.Variable(value, trainable=False) for name, value in sorted(moments.items())},
    )
