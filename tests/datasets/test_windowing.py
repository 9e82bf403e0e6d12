"""Windows of recordings: where they lie, what they are called, and what they carry."""

from fractions import Fraction

import numpy as np
import pytest
import soundfile

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.audio.decoding import Decoder
from vipann_tf.audio.windows import sliding_windows
from vipann_tf.datasets.base import Clip, Source
from vipann_tf.datasets.windowing import cut_into_windows, window_begins
from vipann_tf.errors import UserError


def one(*clips, task="multiclass"):
    labels = tuple(sorted({label for clip in clips for label in clip.labels}))
    return Source("mine", task, labels, clips, 5.0)


def places(source):
    return [(clip.clip_id, clip.offset_s, clip.duration_s) for clip in source.clips]


def cut(clip, length_s, window_s, hop_s=None, **kwargs):
    return cut_into_windows(one(clip, **kwargs), window_s, hop_s, seconds_of=lambda _: length_s)


@pytest.mark.parametrize(
    "length_s, window_s, hop_s, begins",
    [
        (10, 5, 5, [0, 5]),
        (12, 5, 5, [0, 5, 7]),
        (5, 5, 5, [0]),
        (3, 5, 5, [0]),
        (5.5, 5, 5, [0, 0.5]),
        (10, 4, 1.5, [0, 1.5, 3, 4.5, 6]),
        (1, 0.3, 0.1, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),  # not 0.30000000000000004
        (10, 2, 4, [0, 4, 8]),
        (11, 2, 4, [0, 4, 8]),  # a hop longer than a window leaves gaps, also at the end
        (7, 2, 5, [0, 5]),
        (6.5, 2, 5, [0, 4.5]),
        (4, 2, 5, [0]),
        (10.00005, 5, 5, [0, 5]),  # no sound of its own
    ],
)
def test_begins(length_s, window_s, hop_s, begins):
    assert window_begins(0.0, length_s, window_s, hop_s) == begins
    shifted = window_begins(100.0, 100.0 + length_s, window_s, hop_s)
    assert shifted == pytest.approx([100 + begin for begin in begins], abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_invented(seed):
    """Windows of real numbers cover the interval, stay inside it, and begin where a hop says."""
    rng = np.random.default_rng(seed)
    begin_s, length_s = rng.uniform(0, 100), rng.uniform(0.5, 50)
    window_s = round(rng.uniform(0.1, 10), 2)
    hop_s = round(rng.uniform(0.05, 1) * window_s, 3)
    begins = window_begins(begin_s, begin_s + length_s, window_s, hop_s)
    if len(begins) == 1:
        assert begins == [begin_s] and length_s <= window_s + 1.1e-4
        return
    for k, begin in enumerate(begins[:-1]):
        assert begin == pytest.approx(begin_s + float(k * Fraction(str(hop_s))), abs=1e-12)
    assert np.all(np.diff(begins) > 0) and np.all(np.diff(begins) <= window_s)
    end_s = begins[-1] + window_s
    assert begin_s + length_s - 1.1e-4 <= end_s <= begin_s + length_s + 1e-9


@pytest.mark.parametrize("samples, window_s, hop_s", [(8000, 0.3, 0.2), (10_001, 0.4, 0.4)])
def test_windows_are_those_of_predict(tmp_path, samples, window_s, hop_s):
    path = tmp_path / "a.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(samples)), 8000)
    told = [begin for begin, _ in sliding_windows(Decoder(8000), path, window_s, hop_s)]
    source = cut_into_windows(one(Clip("a.wav", str(path), ("x",), "train")), window_s, hop_s)
    assert [clip.offset_s for clip in source.clips] == pytest.approx(told, abs=1e-4)


def test_a_file_becomes_windows_with_exact_names_and_its_own_labels():
    clip = Clip("dog/a.wav", "p", ("dog",), "fold2", group="site 1")
    source = cut(clip, 26.2, 12.5)
    assert source.clip_seconds == 12.5 and not source.notices and not source.rejected
    assert places(source) == [
        ("dog/a.wav@0", 0, 12.5),
        ("dog/a.wav@12.5", 12.5, 12.5),
        ("dog/a.wav@13.7", 13.7, 12.5),
    ]
    kept = {(c.labels, c.split, c.group, c.path) for c in source.clips}
    assert kept == {(("dog",), "fold2", "site 1", "p")}


def test_names_are_exact_beyond_six_digits():
    source = cut(Clip("a", "p", ("x",), "train"), 200_000.0, 100.0, 0.5 + 100)
    assert [clip.clip_id for clip in source.clips[-2:]] == ["a@199894.5", "a@199900"]
    assert len({clip.clip_id for clip in source.clips}) == len(source.clips) == 1991
    assert cut(Clip("a", "p", ("x",), "train"), 0.2, 0.1, 0.01).clips[1].clip_id == "a@0.01"
    long = cut(Clip("a", "p", ("x",), "train"), 12_345.678901, 600)
    assert long.clips[-1].clip_id == "a@11745.678901"


def test_an_interval_is_cut_within_its_bounds():
    clip = Clip("a.wav@10", "p", ("x",), "train", 10.0, 12.0)
    assert places(cut(clip, 60, 5)) == [
        ("a.wav@10", 10, 5),
        ("a.wav@15", 15, 5),
        ("a.wav@17", 17, 5),
    ]
    source = cut(clip, 18.0, 5)
    assert places(source) == [("a.wav@10", 10, 5), ("a.wav@13", 13, 5)]
    [notice] = source.notices
    assert notice.kind == "beyond-end" and "22 s, but the recording at 18.000 s" in notice.detail


def test_what_is_short_or_unreadable_stays_one_clip():
    for length_s in (3.0, 5.0, None):
        clip = Clip("a.wav", "p", ("x",), "train")
        assert cut(clip, length_s, 5).clips == [clip]
    behind = Clip("a.wav@70", "p", ("x",), "train", 70.0, 20.0)
    assert cut(behind, 60.0, 5).clips == [behind]  # decoding says so


def test_a_window_of_several_clips_has_all_their_labels_or_is_rejected():
    clips = [
        Clip("a@0", "p", ("x",), "train", 0.0, 10.0),
        Clip("a@5", "p", ("y",), "train", 5.0, 10.0),
        Clip("a@5", "p", ("y",), "train", 5.0, 10.0),
    ]
    source = cut_into_windows(one(*clips, task="multilabel"), 5, seconds_of=lambda _: 60.0)
    labels = {clip.clip_id: clip.labels for clip in source.clips}
    assert labels == {"a@0": ("x",), "a@5": ("x", "y"), "a@10": ("y",)}
    source = cut_into_windows(one(*clips), 5, seconds_of=lambda _: 60.0)
    assert [clip.clip_id for clip in source.clips] == ["a@0", "a@10"]
    [rejection] = source.rejected
    assert (rejection.clip_id, rejection.reason) == ("a@5", "label-count")
    assert "the labels x, y" in rejection.detail


def test_intervals_that_begin_together_or_where_a_window_does(tmp_path):
    """As csv names them; no clip may be lost for its name."""
    audio(tmp_path / "a.wav", seconds=30)
    rows = ["a.wav,0,20,dog", "a.wav,0,10,cat", "a.wav,5,8,fox", "a.wav,10,13,owl"]
    text(tmp_path / "t.csv", "filename,start_s,end_s,labels", *rows)
    source = datasets.load("csv", tmp_path / "t.csv", windows=5, task="multilabel")
    assert {clip.clip_id: clip.labels for clip in source.clips} == {
        "a.wav@0": ("dog", "cat"),
        "a.wav@5": ("dog", "cat"),
        "a.wav@10": ("dog",),
        "a.wav@15": ("dog",),
        "a.wav@5-8": ("fox",),
        "a.wav@10-13": ("owl",),
    }
    assert not source.rejected


def test_a_recording_in_several_splits_is_noticed():
    clips = [Clip(f"a@{k}", "p", ("x",), f"fold{k}", 10.0 * k, 10.0) for k in (1, 2)]
    [notice] = cut_into_windows(one(*clips), 5, seconds_of=lambda _: 60.0).notices
    assert notice.kind == "recording-in-several-splits" and "fold1, fold2" in notice.detail


def test_every_layout_of_own_recordings_takes_windows(tmp_path):
    audio(tmp_path / "train/dog/a.wav", seconds=1.2)
    audio(tmp_path / "test/cat/b.wav", seconds=0.4)
    text(tmp_path / "test/cat/broken.wav", "no sound")
    source = datasets.load("folder", tmp_path, windows=0.5)
    assert [(clip.clip_id, clip.split) for clip in source.clips] == [
        ("test/cat/b.wav", "test"),
        ("test/cat/broken.wav", "test"),
        ("train/dog/a.wav@0", "train"),
        ("train/dog/a.wav@0.5", "train"),
        ("train/dog/a.wav@0.7", "train"),
    ]
    text(
        tmp_path / "a.csv",
        "filename,labels,split",
        "train/dog/a.wav,dog,train",
        "test/cat/b.wav,cat,test",
    )
    source = datasets.load("csv", tmp_path / "a.csv", windows=0.5, hop=0.35)
    assert [clip.offset_s for clip in source.clips] == [0, 0.35, 0.7, 0]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"windows": 0.05}, "windows is 0.05 s; use a length from 0.1 to 600"),
        ({"windows": float("nan")}, "windows is nan s"),
        ({"windows": 1, "hop": 0}, "hop is 0 s; use a time from 0.01 to 600"),
        ({"hop": 1}, "hop is the time between windows; give windows, too"),
    ],
)
def test_wrong_lengths(tmp_path, options, message):
    audio(tmp_path / "dog/a.wav")
    with pytest.raises(UserError, match=message):
        datasets.load("folder", tmp_path, **options)


def test_sounds_that_are_made_have_no_windows():
    with pytest.raises(UserError, match="dataset synthetic-multilabel has no recordings to cut"):
        cut_into_windows(datasets.load("synthetic", clips=12), 1)
    with pytest.raises(UserError, match="dataset esc50 has no option 'windows'"):
        datasets.load("esc50", "x", windows=1)
