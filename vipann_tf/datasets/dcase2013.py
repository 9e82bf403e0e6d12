"""DCASE 2013 scenes: binaural recordings of London, 30 s each, ten scenes.

Stowell et al., "Detection and classification of acoustic scenes and events", IEEE Transactions on
Multimedia 17, 2015.
"""

from __future__ import annotations

import re

from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.datasets.tree import SourceTree, stem
from vipann_tf.errors import UserError

LAYOUT = (
    "scenes_stereo/bus01.wav ... (development), scenes_stereo_testset/bus01.wav ... (evaluation)"
)
CLIP_SECONDS = 30.0
LABELS = (
    "bus",
    "busystreet",
    "office",
    "openairmarket",
    "park",
    "quietstreet",
    "restaurant",
    "supermarket",
    "tube",
    "tubestation",
)
# The names of the two published archives.
SPLIT_FOLDERS = {"scenes_stereo": "development", "scenes_stereo_testset": "evaluation"}

# Some tools put test_ before the evaluation files, since both archives use the same names.
_NAME = re.compile(r"(?:test_)?([a-z]+)\d{2}")


def load(tree: SourceTree) -> Source:
    """List one or both archives of the scene classification task, as unpacked.

    Args:
      tree: Directory that holds `scenes_stereo/`, `scenes_stereo_testset/` or both, at any depth.

    Returns:
      A multiclass source with splits development and evaluation; the label is the file name
      without its number. Other audio files in these folders are rejected as `no-label`.

    Raises:
      UserError: Neither folder exists.
    """
    clips, rejected = [], []
    for name in tree.audio_files():
        folders = [part for part in name.split("/")[:-1] if part in SPLIT_FOLDERS]
        if not folders:
            continue
        split = SPLIT_FOLDERS[folders[-1]]
        clip_id = f"{split}/{stem(name)}"
        match = _NAME.fullmatch(stem(name))
        if match is None or match[1] not in LABELS:
            detail = "the name is not a scene and two digits"
            rejected.append(Rejection(tree.path(name), clip_id, "no-label", detail))
            continue
        clips.append(Clip(clip_id, tree.path(name), (match[1],), split))
    if not clips and not rejected:
        raise UserError(
            f"{tree.given} is not the layout of dcase2013 ({LAYOUT}): looked for audio files in"
            f" {' and '.join(SPLIT_FOLDERS)}; found {tree.glimpse()}"
        )
    return Source(
        name="dcase2013",
        task="multiclass",
        labels=LABELS,
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=tuple(rejected),
    )
