"""The clips of a report, each with a picture of the sound and a player."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soundfile
from matplotlib import colormaps
from matplotlib.image import imsave

from vipann_tf.evaluation.results import Answers, Results

__all__ = [
    "CLIPS_A_GROUP",
    "ClipCard",
    "clip_cards",
    "clips_to_show",
    "outside_cards",
    "outside_to_show",
    "sound_media",
]

CLIPS_A_GROUP = 4
_TOP = 3  # answers listed on a card
_PICTURE_COLUMNS = 320
_PICTURE_RANGE_DB = 70.0  # below the loudest; quieter is drawn as silence


@dataclass(frozen=True)
class ClipCard:
    """One clip as the report shows it."""

    clip_id: str
    truth: tuple[str, ...]
    answers: tuple[tuple[str, float, bool], ...]  # label, probability, true; most probable first
    right: bool
    aleatoric: float  # of the answer, nats
    epistemic: float  # of the answer, nats
    seconds: float | None
    picture: str | None  # data URI, PNG of the log-mel spectrogram, low frequencies at the bottom
    sound: str | None  # data URI


def clips_to_show(results: Results, count: int = CLIPS_A_GROUP) -> dict[str, list[str]]:
    """Return the ids of the clips that the report shows: fetch their audio for `write_report`.

    Args:
      results: Results of the evaluation.
      count: Number of clips per group.

    Returns:
      "sure but wrong", "least sure" and "most sure" -> clip ids, by the total uncertainty of the
      answer. A group may be empty.
    """
    order = np.argsort(results.answers.answer_uncertainty("total", results.task), kind="stable")
    wrong = results.wrong
    chosen = {
        "sure but wrong": [i for i in order if wrong[i]][:count],
        "least sure": list(order[::-1][:count]),
        "most sure": list(order[:count]),
    }
    ids = results.answers.clip_ids
    return {name: [ids[i] for i in group] for name, group in chosen.items()}


def clip_cards(results: Results, audio: Mapping[str, np.ndarray]) -> dict[str, list[ClipCard]]:
    """Return the cards of each group of `clips_to_show` that is not empty.

    Args:
      results: Results of the evaluation.
      audio: Mapping of clip id to waveform, float32 `[samples]` at 32 kHz in [-1, 1]. Other clips
        get a card without picture and sound.
    """
    row = {clip_id: i for i, clip_id in enumerate(results.answers.clip_ids)}
    media = {}
    groups = {}
    truth = np.asarray(results.truth, bool)
    for name, ids in clips_to_show(results).items():
        for clip_id in ids:
            if clip_id not in media:
                media[clip_id] = sound_media(audio.get(clip_id))
        if ids:
            groups[name] = [
                _card(results, results.answers, row[x], truth[row[x]], media[x]) for x in ids
            ]
    return groups


def outside_to_show(results: Results, count: int = CLIPS_A_GROUP) -> dict[str, list[str]]:
    """Return the ids of the unfamiliar clips of which the model was surest, by their set.

    Args:
      results: Results of the evaluation.
      count: Number of clips per set.
    """
    return {
        name: [
            answers.clip_ids[i]
            for i in np.argsort(answers.answer_uncertainty("total", results.task), kind="stable")
        ][:count]
        for name, answers in results.outside.items()
    }


def outside_cards(
    results: Results, audio: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, list[ClipCard]]:
    """Return the cards of `outside_to_show` by set; no label of theirs is true.

    Args:
      results: Results of the evaluation.
      audio: Set -> clip id -> waveform, as for `clip_cards`.
    """
    groups = {}
    nothing = np.zeros(len(results.labels), bool)
    for name, ids in outside_to_show(results).items():
        answers, sounds = results.outside[name], audio.get(name, {})
        row = {clip_id: i for i, clip_id in enumerate(answers.clip_ids)}
        groups[name] = [
            _card(results, answers, row[x], nothing, sound_media(sounds.get(x))) for x in ids
        ]
    return groups


def _card(results: Results, answers: Answers, i: int, truth: np.ndarray, media: tuple) -> ClipCard:
    probs = answers.probs[i]
    top = np.argsort(-probs, kind="stable")[:_TOP]
    parts = {
        kind: float(answers.answer_uncertainty(kind, results.task)[i])
        for kind in ("aleatoric", "epistemic")
    }
    seconds, picture, sound = media
    return ClipCard(
        clip_id=answers.clip_ids[i],
        truth=tuple(results.labels[k] for k in np.flatnonzero(truth)),
        answers=tuple((results.labels[k], float(probs[k]), bool(truth[k])) for k in top),
        right=bool(truth[top[0]]),
        seconds=seconds,
        picture=picture,
        sound=sound,
        **parts,
    )


def sound_media(waveform: np.ndarray | None) -> tuple[float | None, str | None, str | None]:
    """Return the length in seconds, the picture and the sound of a clip, as data URIs.

    Args:
      waveform: float32 `[samples]` at 32 kHz in [-1, 1], or `None`: then all three are `None`.
    """
    if waveform is None:
        return None, None, None
    # The frontend imports TensorFlow; a report without audio does not need it.
    from vipann_tf.audio.logmel import SAMPLE_RATE_HZ, log_mel

    waveform = np.asarray(waveform, np.float32)
    picture = _picture(np.asarray(log_mel(waveform[None]))[0])
    return len(waveform) / SAMPLE_RATE_HZ, picture, _sound(waveform, SAMPLE_RATE_HZ)


def _picture(log_mel_db: np.ndarray) -> str:
    """Return a PNG of `[frames, bands]` in dB: time to the right, low frequencies at the bottom."""
    frames = len(log_mel_db)
    columns = min(frames, _PICTURE_COLUMNS)
    starts = np.arange(columns) * frames // columns
    pooled = np.maximum.reduceat(log_mel_db, starts, axis=0)  # keep clicks visible
    loudest = float(pooled.max())
    buffer = io.BytesIO()
    imsave(
        buffer,
        pooled.T[::-1],
        vmin=loudest - _PICTURE_RANGE_DB,
        vmax=loudest,
        cmap=colormaps["magma"],
        format="png",
    )
    return _data_uri("image/png", buffer.getvalue())


def _sound(waveform: np.ndarray, sample_rate_hz: int) -> str:
    """Return the clip as MP3, which every browser plays, or as WAV where libsndfile lacks MP3."""
    kind, mime = (
        ("MP3", "audio/mpeg") if "MP3" in soundfile.available_formats() else ("WAV", "audio/wav")
    )
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1.0, 1.0), sample_rate_hz, format=kind)
    return _data_uri(mime, buffer.getvalue())


def _data_uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
