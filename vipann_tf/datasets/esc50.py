"""ESC-50 and ESC-10: environmental sounds, 5 s each, in five folds (Piczak, ACM MM 2015)."""

from __future__ import annotations

from vipann_tf.datasets.base import Clip, Rejection, Source, split_of_fold
from vipann_tf.datasets.tree import SourceTree, stem
from vipann_tf.errors import UserError

LAYOUT = "audio/1-100032-A-0.wav ..., meta/esc50.csv (filename, fold, target, category, esc10)"
CLIP_SECONDS = 5.0
META = "meta/esc50.csv"
SUBSETS = ("esc50", "esc10")


def load(tree: SourceTree, *, subset: str = "esc50") -> Source:
    """List ESC-50 as published, or its ESC-10 part.

    The audio may have been recompressed: `1-100032-A-0.ogg` replaces `1-100032-A-0.wav`.

    Args:
      tree: Directory with `audio/` and `meta/esc50.csv`.
      subset: `esc50` for every row of the metadata, `esc10` for those marked as ESC-10.

    Returns:
      A multiclass source with splits fold1 to fold5; labels are the category names in the order
      of their target numbers.

    Raises:
      UserError: The directory has another layout, or the subset is unknown.
    """
    if subset not in SUBSETS:
        raise UserError(f"subset {subset!r} of esc50 is unknown; use {' or '.join(SUBSETS)}")
    tree.require("esc50", (META,), LAYOUT)
    rows = tree.read_csv(META, ("filename", "fold", "target", "category", "esc10"))
    if subset == "esc10":
        rows = [row for row in rows if row["esc10"].lower() == "true"]
    present = {name: name for name in tree.audio_files("audio")}
    present |= {f"audio/{stem(name)}": name for name in present}
    clips, rejected, targets = [], [], {}
    for row in rows:
        if not row["target"].isdecimal():
            raise UserError(f"{tree.path(META)}: target {row['target']!r} is not a number")
        targets[row["category"]] = int(row["target"])
        listed = f"audio/{row['filename']}"
        found = present.get(listed) or present.get(f"audio/{stem(listed)}")
        if found is None:
            rejected.append(
                Rejection(tree.path(listed), stem(listed), "missing-file", "listed in " + META)
            )
            continue
        clips.append(
            Clip(
                stem(listed),
                tree.path(found),
                (row["category"],),
                split_of_fold(row["fold"]),
                group=row.get("src_file", ""),  # takes of one recording
            )
        )
    return Source(
        name=subset,
        task="multiclass",
        labels=tuple(sorted(targets, key=targets.__getitem__)),
        clips=clips,
        clip_seconds=CLIP_SECONDS,
        rejected=tuple(rejected),
    )
