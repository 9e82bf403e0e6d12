"""UrbanSound8K: city sounds of up to 4 s in ten folds (Salamon, Jacoby, Bello, ACM MM 2014)."""

from __future__ import annotations

from vipann_tf.datasets.base import Clip, Rejection, Source, split_of_fold
from vipann_tf.datasets.tree import SourceTree, stem
from vipann_tf.errors import UserError

LAYOUT = (
    "audio/fold1/7061-6-0-0.wav ... audio/fold10/, metadata/UrbanSound8K.csv (slice_file_name,"
    " fold, classID, class)"
)
CLIP_SECONDS = 4.0
META = "metadata/UrbanSound8K.csv"


def load(tree: SourceTree) -> Source:
    """List UrbanSound8K as published.

    Do not change the folds: slices of one recording are in one fold.

    Args:
      tree: Directory with `audio/` and `metadata/UrbanSound8K.csv`.

    Returns:
      A multiclass source with splits fold1 to fold10; labels are the class names in the order of
      their class ids.

    Raises:
      UserError: The directory has another layout.
    """
    tree.require("urbansound8k", (META,), LAYOUT)
    rows = tree.read_csv(META, ("slice_file_name", "fold", "classID", "class"))
    present = set(tree.audio_files("audio"))
    clips, rejected, classes = [], [], {}
    for row in rows:
        if not row["classID"].isdecimal():
            raise UserError(f"{tree.path(META)}: classID {row['classID']!r} is not a number")
        classes[row["class"]] = int(row["classID"])
        fold = split_of_fold(row["fold"])
        listed = f"audio/{fold}/{row['slice_file_name']}"
        if listed not in present:
            rejected.append(
                Rejection(tree.path(listed), stem(listed), "missing-file", "listed in " + META)
            )
            continue
        clips.append(
            Clip(stem(listed), tree.path(listed), (row["class"],), fold, group=row.get("fsID", ""))
        )
    return Source(
        name="urbansound8k",
        task="multiclass",
        labels=tuple(sorted(classes, key=classes.__getitem__)),
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=tuple(rejected),
    )
