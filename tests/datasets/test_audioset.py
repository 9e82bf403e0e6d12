import shutil

import pytest

from tests.helpers.dataset_layouts import audio, text
from tests.helpers.reference import AUDIOSET_LABELS
from vipann_tf import datasets
from vipann_tf.errors import UserError
from vipann_tf.records.plan import plan_shards

HEAD = ("# Segments csv created Sun Mar  5 10:54:25 2017", "# num_ytids=3, num_segs=3",
        "# YTID, start_seconds, end_seconds, positive_labels")  # fmt: skip
LABELS = (
    "index,mid,display_name",
    '0,/m/09x0r,"Speech"',
    '1,/m/05zppz,"Male speech, man speaking"',
    '2,/m/0k4j,"Car"',
)


def miniature(root):
    text(root / "class_labels_indices.csv", *LABELS)
    text(
        root / "balanced_train_segments.csv",
        *HEAD,
        '-0RWZT-miFs, 420.000, 430.000, "/m/0k4j,/m/09x0r"',
        'YYYYYYYYYY1, 0.000, 9.500, "/m/05zppz"',
        'gone4ever_1, 30.000, 40.000, "/m/09x0r"',
    )
    text(
        root / "metadata" / "eval_segments.csv",
        *HEAD,
        'eval_clip_1, 30.000, 40.000, "/m/09x0r"',
        'unknown_lab, 5.000, 15.000, "/m/09x0r,/m/not_listed"',
    )
    audio(root / "audio/eval/Yeval_clip_1.flac")
    audio(root / "audio/eval/Yunknown_lab.wav")
    audio(root / "audio/-0RWZT-miFs.wav")
    audio(root / "audio/deep/er/YYYYYYYYYY1.ogg")
    audio(root / "audio/stranger.wav")
    return root


def test_listing(tmp_path):
    source = datasets.load("audioset", miniature(tmp_path))
    assert (source.task, source.clip_seconds) == ("multilabel", 10.0)
    assert source.labels == ("Speech", "Male speech, man speaking", "Car")
    assert [(c.clip_id, c.labels, c.split) for c in source.clips] == [
        ("-0RWZT-miFs_420000", ("Car", "Speech"), "train_balanced"),
        ("YYYYYYYYYY1_0", ("Male speech, man speaking",), "train_balanced"),
        ("eval_clip_1_30000", ("Speech",), "eval"),
        ("unknown_lab_5000", ("Speech", "/m/not_listed"), "eval"),
    ]
    assert source.clips[1].path == str(tmp_path / "audio/deep/er/YYYYYYYYYY1.ogg")
    assert [(r.clip_id, r.reason) for r in source.rejected] == [
        ("gone4ever_1_30000", "missing-file")
    ]


def test_unknown_labels_are_rejected_by_name(tmp_path):
    plan = plan_shards(datasets.load("audioset", miniature(tmp_path)))
    assert [(r.clip_id, r.reason) for r in plan.rejected] == [
        ("gone4ever_1_30000", "missing-file"),
        ("unknown_lab_5000", "unknown-label"),
    ]
    assert "'/m/not_listed' is not in the label list" in plan.rejected[1].detail
    assert plan.inputs == 5 and plan.splits == {"eval": 1, "train_balanced": 2}


@pytest.mark.parametrize("prefix", ["", "Y"])
@pytest.mark.parametrize(
    "suffix",
    ["", "_420.000", "_420.000_430.000", "_420", "_420_430", "_420000", "_420000_430000"],
)
def test_names_that_downloaders_give(tmp_path, prefix, suffix):
    text(tmp_path / "class_labels_indices.csv", *LABELS)
    row = '-0RWZT-miFs, 420.000, 430.000, "/m/0k4j"'
    text(tmp_path / "unbalanced_train_segments.csv", *HEAD, row)
    name = audio(tmp_path / f"{prefix}-0RWZT-miFs{suffix}.wav").name
    (clip,) = datasets.load("audioset", tmp_path).clips
    assert (clip.path, clip.split) == (str(tmp_path / name), "train_unbalanced")


@pytest.mark.parametrize("missing", ["class_labels_indices.csv", "balanced_train_segments.csv"])
def test_missing_lists(tmp_path, missing):
    (miniature(tmp_path) / missing).unlink()
    (tmp_path / "metadata/eval_segments.csv").unlink()
    with pytest.raises(UserError, match="looked for class_labels_indices.csv and .*; found audio/"):
        datasets.load("audioset", tmp_path)


def test_damaged_lists(tmp_path):
    miniature(tmp_path)
    text(tmp_path / "metadata/eval_segments.csv", *HEAD, "id, ten, 20, /m/09x0r")
    with pytest.raises(UserError, match="segment 1: 'id,ten,20,/m/09x0r' is not YouTube id, start"):
        datasets.load("audioset", tmp_path)
    text(tmp_path / "class_labels_indices.csv", LABELS[0], *LABELS[2:])
    with pytest.raises(UserError, match="row 1: index is '1' where 0 is expected"):
        datasets.load("audioset", tmp_path)


def test_published_label_list(tmp_path):
    shutil.copy(AUDIOSET_LABELS, tmp_path)
    row = '-0RWZT-miFs, 420.000, 430.000, "/m/03v3yw,/m/0k4j"'
    text(tmp_path / "eval_segments.csv", *HEAD, row)
    audio(tmp_path / "Y-0RWZT-miFs.wav")
    source = datasets.load("audioset", tmp_path)
    assert len(set(source.labels)) == 527
    assert source.clips[0].labels == ("Keys jangling", "Car")
