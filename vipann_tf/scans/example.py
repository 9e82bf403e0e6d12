"""An example sound, as the model of a scan hears it."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.scans.finished import read_state
from vipann_tf.scans.planning import model_fingerprint

__all__ = ["embed_example"]


def embed_example(scan: StrPath, path: StrPath) -> NDArray[np.float32]:
    """Return the embedding of a sound by the model of a scan, float32 [size].

    Args:
      scan: Directory of the scan.
      path: The sound: a clip, not a long recording.

    Raises:
      UserError: The sound can't be read, or the model is gone or another one by now.
    """
    state = read_state(os.fspath(scan))
    model = state["model"]
    if not os.path.isdir(model) or model_fingerprint(model) != state["settings"]["model"]:
        raise UserError(
            f"the model of {scan} is not at {model} any more, or has changed; put it back"
        )
    connection = connect(model)
    try:
        waveform = Hearing(connection.info).read(path)
    except DecodeError as error:
        raise UserError(f"{path}: {error}") from error
    embedding: NDArray[np.float32] = connection.embed(waveform[None])[0]
    return embedding
