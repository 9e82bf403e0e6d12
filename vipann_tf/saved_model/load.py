"""Loading of model directories, as a SavedModel or as a Keras model to train."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.metadata import ModelInfo, read_model_info, version_directory

if TYPE_CHECKING:
    from vipann_tf.models.vipann import VIPANN

_KEY = "network_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"


def load_signatures(path: StrPath) -> Any:
    """Load the SavedModel at `path` (NAME or NAME/1); its functions are in `.signatures`.

    Keep the returned object: its functions work only while it exists.
    """
    try:
        return tf.saved_model.load(str(version_directory(path)))
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


def load_model(path: StrPath, *, dtype: str = "float32") -> "tuple[VIPANN, ModelInfo]":
    """Rebuild the network at `path` as a Keras model.

    Args:
      path: NAME or NAME/1.
      dtype: Keras dtype policy to compute with.

    Returns:
      The `VIPANN` and its `ModelInfo`.
    """
    from vipann_tf.models.vipann import VIPANN  # not needed to use a SavedModel

    info = read_model_info(path)
    model = VIPANN(info.architecture, dtype=dtype)
    model.assign(read_variables(path))
    return model, info
