"""Hold-outs: no recording or group on two sides, labels in balance, the same every time."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.datasets.base import Clip, Source
from vipann_tf.datasets.hold_out import hold_out
from vipann_tf.errors import UserError


def source_of(clips, task="multilabel"):
    labels = tuple(sorted({label for clip in clips for label in clip.labels}))
    return Source("mine", task, labels, tuple(clips), 5.0)


def recordings(rng, count, *, labels=4, windows=8, several=True):
    """Windows of recordings; each recording has few labels, and some windows have none."""
    clips = []
    for number in range(count):
        heard = rng.choice(labels, 1 + several * rng.integers(2), replace=False)
        for window in range(rng.integers(1, windows + 1)):
            found = tuple(f"label{k}" for k in heard if not several or rng.random() < 0.6)
            name = f"r{number:03d}.wav"
            clips.append(Clip(f"{name}@{window}", f"/x/{name}", found, "train", window, 1.0))
    return clips


def splits_of(source):
    return {clip.clip_id: clip.split for clip in source.clips}


def sides(source, key):
    found = defaultdict(set)
    for clip in source.clips:
        found[key(clip)].add(clip.split)
    return found


ASKED = [{"folds": 2}, {"folds": 5}, {"holdout": 0.2}, {"holdout": 0.3}, {"holdout": 0.8}]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_no_recording_is_on_two_sides_and_labels_are_balanced(asked, seed):
    rng = np.random.default_rng(seed)
    source = hold_out(source_of(recordings(rng, 120)), **asked, seed=seed)
    assert all(len(found) == 1 for found in sides(source, lambda clip: clip.path).values())
    counts = Counter(clip.split for clip in source.clips)
    if "folds" in asked:
        expected = {f"fold{k + 1}": 1 / asked["folds"] for k in range(asked["folds"])}
    else:
        expected = {"train": 1 - asked["holdout"], "test": asked["holdout"]}
    assert counts.keys() == expected.keys() and not source.notices
    for label in source.labels:
        holding = [clip for clip in source.clips if label in clip.labels]
        groups = len({clip.path for clip in holding})
        for split, share in expected.items():
            found = sum(clip.split == split for clip in holding) / len(holding)
            # No further off than groups that are drawn at random would often be.
            assert abs(found - share) < 2 * (share * (1 - share) / groups) ** 0.5
            assert abs(counts[split] / len(source.clips) - share) < 0.04


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_one_label_a_file_is_balanced_to_one_clip(asked):
    clips = [Clip(f"{k}", f"/x/{k}", (f"label{k % 7}",), "train") for k in range(7 * 30)]
    source = hold_out(source_of(clips, "multiclass"), **asked)
    for label in source.labels:
        counts = Counter(clip.split for clip in source.clips if clip.labels == (label,))
        if "folds" in asked:
            assert set(counts.values()) == {30 / asked["folds"]}
        else:
            assert counts["test"] == 30 * asked["holdout"]


@pytest.mark.parametrize("asked", ASKED[1:3], ids=str)
def test_the_same_in_any_order_and_anywhere_and_another_with_another_seed(asked):
    rng = np.random.default_rng(5)
    clips = recordings(rng, 40)
    first = splits_of(hold_out(source_of(clips), **asked, seed=1))
    shuffled = [clips[k] for k in rng.permutation(len(clips))]
    source = hold_out(source_of(shuffled), **asked, seed=1)
    assert splits_of(source) == first
    assert [clip.clip_id for clip in source.clips] == [clip.clip_id for clip in shuffled]
    moved = [Clip(c.clip_id, "/far/away" + c.path, c.labels, "train") for c in shuffled]
    assert splits_of(hold_out(source_of(moved), **asked, seed=1)) == first
    assert splits_of(hold_out(source_of(clips), **asked, seed=2)) != first


def test_the_drawing_is_kept():
    """A new version of scikit-learn, or of ours, that draws otherwise shows here."""
    clips = [Clip(f"{k:02d}", f"/x/{k}", (f"label{k % 2}",), "train") for k in range(12)]
    found = splits_of(hold_out(source_of(clips), folds=3, seed=0))
    assert "".join(found[f"{k:02d}"][-1] for k in range(12)) == "312213211233"
    grouped = [Clip(f"{k:02d}", f"/x/{k // 2}", (f"label{k % 3}",), "train") for k in range(24)]
    found = splits_of(hold_out(source_of(grouped), folds=3, seed=0))
    assert "".join(found[f"{k:02d}"][-1] for k in range(0, 24, 2)) == "213133122312"


def test_groups_stay_together_and_so_do_their_recordings(tmp_path):
    clips = []
    for k in range(40):
        group = f"site{k % 8}" if k < 32 else ""
        clips.append(Clip(f"{k}", f"/x/{k // 2 * 2}", ("a",), "train", group=group))
    source = hold_out(source_of(clips), folds=3)
    assert all(len(found) == 1 for found in sides(source, lambda clip: clip.path).values())
    named = sides(source, lambda clip: clip.group)
    assert all(len(named[f"site{k}"]) == 1 for k in range(8))


def test_a_link_is_the_recording_that_it_leads_to(tmp_path):
    for k in range(6):
        audio(tmp_path / f"{k}.wav")
        (tmp_path / f"link{k}.wav").symlink_to(tmp_path / f"{k}.wav")
    names = [f"{link}{k}.wav" for k in range(6) for link in ("", "link", "./")]
    clips = [Clip(name, str(tmp_path / name), ("a",), "train") for name in names]
    source = hold_out(source_of(clips), folds=3)
    same = sides(source, lambda clip: clip.clip_id.removeprefix("link").removeprefix("./"))
    assert len(same) == 6 and all(len(found) == 1 for found in same.values())


def test_a_label_of_few_recordings_is_noticed_and_trained_on():
    clips = [Clip(f"{k}", f"/x/{k}", ("common",), "train") for k in range(20)]
    clips += [Clip(f"rare{k}", "/x/rare", ("rare",), "train") for k in range(4)]
    clips += [Clip(f"few{k}", f"/x/few{k}", ("few",), "train") for k in range(3)]
    source = hold_out(source_of(clips), holdout=0.2)
    [notice] = source.notices
    assert (notice.kind, notice.path) == ("label-not-in-split", "/x/rare")
    assert notice.detail == "'rare' is in 1 recording or group and not in test"
    details = [notice.detail for notice in hold_out(source_of(clips), folds=4).notices]
    assert [detail.split(" and ")[0] for detail in details] == [
        "'few' is in 3 recordings or groups",
        "'rare' is in 1 recording or group",
    ]


def test_fewer_recordings_than_the_share_needs():
    clips = [Clip(f"{k}@{j}", f"/x/{k}", ("a",), "train") for k in range(3) for j in range(9)]
    source = hold_out(source_of(clips), holdout=0.1)
    assert Counter(clip.split for clip in source.clips) == {"train": 18, "test": 9}
    [notice] = source.notices
    assert notice.kind == "holdout-share" and notice.detail.startswith(
        "test holds 33% of the clips"
    )


def test_every_label_rarer_than_the_folds():
    clips = [Clip(f"{k}", f"/x/{k}", (f"label{k}",), "train") for k in range(6)]
    source = hold_out(source_of(clips), folds=3)
    assert set(Counter(clip.split for clip in source.clips).values()) == {2}
    assert len(source.notices) == 6


@pytest.mark.parametrize(
    "options, message",
    [
        ({"folds": 1}, "folds is 1; use 2 or more, so that one can be held out"),
        ({"folds": 5}, "folds is 5, but dataset .* has 4 recordings or groups, none of which is"),
        ({"holdout": 0.0}, "holdout is 0; use a share from 0.01 to 0.9"),
        ({"holdout": float("nan")}, "holdout is nan"),
        ({"holdout": 20}, "holdout is 20; use a share"),
        ({"folds": 2, "holdout": 0.2}, "folds and holdout exclude each other"),
        ({"folds": 2, "seed": -1}, "seed is -1; use 0 to 4294967295"),
        ({"seed": 1}, "seed draws what is held out; give folds or holdout, too"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    for k in range(4):
        audio(tmp_path / f"{'dog' if k else 'cat'}/{k}.wav")
    with pytest.raises(UserError, match=message):
        datasets.load("folder", tmp_path, **options)


def test_one_recording_and_splits_that_are_there(tmp_path):
    audio(tmp_path / "dog/a.wav", seconds=3)
    with pytest.raises(UserError, match="has one recording or group, which is not divided"):
        datasets.load("folder", tmp_path, windows=1, holdout=0.2, task="multilabel")
    audio(tmp_path / "b/train/dog/a.wav")
    audio(tmp_path / "b/test/cat/a.wav")
    with pytest.raises(UserError, match=r"dataset b has splits already \(test\); leave out folds"):
        datasets.load("folder", tmp_path / "b", holdout=0.2)


def test_every_layout_of_own_recordings_has_hold_outs(tmp_path):
    for k in range(4):
        audio(tmp_path / f"{'ab'[k % 2]}/{k}.wav", seconds=1)
        text(tmp_path / f"{'ab'[k % 2]}/{k}.txt", "0.0\t0.5\tbark")
    rows = [f"{'ab'[k % 2]}/{k}.wav,{'ab'[k % 2]}" for k in range(4)]
    text(tmp_path / "list.csv", "filename,labels", *rows)
    for name, path in (("folder", ""), ("csv", "list.csv"), ("raven", "")):
        source = datasets.load(name, tmp_path / path, windows=0.5, folds=4, seed=1)
        assert Counter(clip.split for clip in source.clips) == dict.fromkeys(
            ("fold1", "fold2", "fold3", "fold4"), 2
        )
        assert len({(clip.path, clip.split) for clip in source.clips}) == 4
