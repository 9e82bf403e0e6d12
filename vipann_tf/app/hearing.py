"""What a model says of one sound, as the page shows it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.errors import DecodeError
from vipann_tf.errors import UserError
from vipann_tf.evaluation.clip_cards import sound_media
from vipann_tf.saved_model.connection import Connection
from vipann_tf.saved_model.hearing import Hearing
from vipann_tf.saved_model.server import RequestRefused
from vipann_tf.saved_model.timeline import BAND

__all__ = ["MAX_SECONDS", "SHOWN_LABELS", "decode", "doubt_words", "heard"]

# Keys 1 to 9.
SHOWN_LABELS = 9
# A sound that is dropped on the page is heard up to here; `scan` is for longer ones.
MAX_SECONDS = 60.0
# Below this share of the greatest entropy that the labels allow there is hardly a doubt.
_LITTLE = 0.05
# Shares of epistemic uncertainty at which the words change.
_MUCH_EPISTEMIC, _SOME_EPISTEMIC = 0.4, 0.15


def decode(
    content: bytes, connection: Connection, *, channel: Channel = "mix"
) -> tuple[NDArray[np.float32], list[str]]:
    """Decode an audio file of any format.

    Args:
      content: The file.
      connection: The model that will hear it.
      channel: What to hear of several channels.

    Returns:
      float32 [samples] at the model's rate, and what is to be known of it.

    Raises:
      UserError: There is no usable waveform.
    """
    hearing = Hearing(connection.info, channel=channel)
    try:
        waveform = hearing.decoder.read(io.BytesIO(content), duration_s=MAX_SECONDS, cut=False)
    except DecodeError as error:
        raise UserError(f"this can't be heard: {error}") from error
    hearing.note_padding(waveform)
    return waveform, [f"{kind}: {detail}" for kind, detail in hearing.findings]


def heard(waveform: NDArray[np.float32], connection: Connection) -> dict[str, Any]:
    """Return picture, sound, labels and doubt of a waveform, ready for JSON.

    Args:
      waveform: float32 [samples] at the model's rate.
      connection: The model.

    Raises:
      UserError: The model refuses the waveform.
    """
    try:
        answer = connection.ask(waveform[np.newaxis], each_draw=True)
    except RequestRefused as error:
        raise UserError(f"this can't be heard: {error}") from error
    probs = answer["probabilities"][0]
    low, high = np.quantile(answer["sample_probabilities"][0], BAND, axis=0)
    order = np.argsort(-probs, kind="stable")[:SHOWN_LABELS]
    seconds, picture, sound = sound_media(waveform)
    parts = {name: float(answer[name][0]) for name in ("total", "aleatoric", "epistemic")}
    return {
        "seconds": seconds,
        "picture": picture,
        "sound": sound,
        "labels": [
            {
                "label": connection.labels[i],
                "probability": float(probs[i]),
                "low": float(low[i]),
                "high": float(high[i]),
            }
            for i in order
        ],
        **parts,
        "doubt": doubt_words(**parts, connection=connection),
    }


def doubt_words(total: float, aleatoric: float, epistemic: float, *, connection: Connection) -> str:
    """Say in plain words how great the doubt is and what it is made of.

    Args:
      total: Uncertainty of one sound, in nats.
      aleatoric: Its part that is the sound's.
      epistemic: Its part that is the model's.
      connection: The model.
    """
    labels, task = len(connection.labels), connection.info.architecture.task
    greatest = np.log(labels) if task == "multiclass" else labels * np.log(2)
    numbers = f"{total:.2f} nats = {aleatoric:.2f} of the sound + {epistemic:.2f} of the model."
    if connection.num_draws == 1:
        return (
            f"The doubt is {total:.2f} nats. This is one network, so nothing can be said of what "
            "the model itself does not know."
        )
    if total < _LITTLE * greatest:
        return f"There is hardly a doubt: {numbers} A model can be sure and wrong."
    share = epistemic / total
    if share >= _MUCH_EPISTEMIC:
        words = (
            "Much of the doubt is the model's own: the networks that are drawn contradict each "
            "other, as they do for sounds unlike those of the training. A label may teach it more "
            "than most."
        )
    elif share >= _SOME_EPISTEMIC:
        words = (
            "Most of the doubt is the sound's, and a part is the model's own: the networks that "
            "are drawn differ."
        )
    else:
        words = (
            "Nearly all of the doubt is the sound's: the networks that are drawn agree that it is "
            "unclear. More labels of such sounds will not make it clearer."
        )
    return f"{words} {numbers}"
