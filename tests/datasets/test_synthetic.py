"""The synthetic dataset: who may ask for what, and that a clip is the same one everywhere."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict

from tests.helpers.paths import ROOT
from vipann_tf.datasets import synthetic
from vipann_tf.datasets.sound_events import EVENTS
from vipann_tf.errors import UserError

TASKS = tuple(EVENTS)


def digest(clips_per_task=3):
    """A hash of waveforms and labels of the last clips of every task."""
    result = hashlib.sha256()
    for task in TASKS:
        source = synthetic.source(task, clips=12, seconds=1.3, seed=5)
        for clip in source.clips[-clips_per_task:]:
            result.update(repr(clip).encode())
            for rate in (32_000, 22_050):
                result.update(source.decode(clip, rate).tobytes())
    return result.hexdigest()


def test_same_waveforms_in_another_process_without_tensorflow():
    code = (
        "import sys\n"
        "from tests.datasets.test_synthetic import digest; print(digest())\n"
        "assert 'tensorflow' not in sys.modules"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest()


def test_a_clip_does_not_depend_on_how_many_there_are():
    few, many = (synthetic.source("multilabel", clips=n, seconds=1) for n in (7, 40))
    assert few.clips[:6] == many.clips[:6]
    np.testing.assert_array_equal(
        few.decode(few.clips[3], 32_000), many.decode(many.clips[3], 32_000)
    )
    # Nor on what was made before it, nor on the way to the worker.
    copy = pickle.loads(pickle.dumps(few))
    for clip in reversed(few.clips):
        last = copy.decode(clip, 32_000)
    np.testing.assert_array_equal(last, few.decode(few.clips[0], 32_000))


def test_every_clip_differs():
    waveforms = [
        source.decode(clip, 32_000)
        for source in (
            synthetic.source("multiclass", clips=20, seconds=1),
            synthetic.source("multiclass", clips=20, seconds=1, seed=1),
            synthetic.source("multilabel", clips=20, seconds=1),
            synthetic.source("ood", clips=5, seconds=1),
        )
        for clip in source.clips
    ]
    units = np.stack([w / np.linalg.norm(w) for w in waveforms])
    likeness = np.abs(units @ units.T) - np.eye(len(units))
    assert likeness.max() < 0.9


def test_multilabel_splits_and_label_counts():
    source = synthetic.source("multilabel", clips=1200)
    assert source.task == "multilabel" and source.clip_seconds == 5.0
    splits = [clip.split for clip in source.clips]
    assert (splits.count("train"), splits.count("eval")) == (1000, 200)
    counts = np.bincount([len(clip.labels) for clip in source.clips], minlength=5)
    assert counts[0] == 0 and len(counts) == 5
    p = np.array(synthetic.EVENT_COUNT_PROBS)
    np.testing.assert_array_less(np.abs(counts[1:] / 1200 - p), 4 * np.sqrt(p * (1 - p) / 1200))
    for clip in source.clips:
        assert len(set(clip.labels)) == len(clip.labels)
        assert list(clip.labels) == sorted(clip.labels)  # label order is alphabetical
    share = np.mean([[name in clip.labels for name in source.labels] for clip in source.clips], 0)
    expected = (p @ np.arange(1, 5)) / len(source.labels)
    tolerance = 4 * np.sqrt(expected * (1 - expected) / 1200)
    np.testing.assert_allclose(share, expected, atol=tolerance)


def test_multiclass_folds_are_equal_and_balanced():
    source = synthetic.source("multiclass", clips=150, folds=3)
    assert source.task == "multiclass"
    for fold in ("fold1", "fold2", "fold3"):
        labels = [clip.labels for clip in source.clips if clip.split == fold]
        assert len(labels) == 50
        assert all(labels.count((name,)) == 5 for name in source.labels)


def test_clips_that_do_not_divide_are_spread():
    splits = [clip.split for clip in synthetic.source("multiclass", clips=13).clips]
    assert [splits.count(f"fold{k}") for k in range(1, 6)] == [3, 3, 3, 2, 2]


def test_ood_is_multiclass_in_one_split():
    source = synthetic.source("ood", clips=11)
    assert source.task == "multiclass" and source.name == "synthetic-ood"
    assert {clip.split for clip in source.clips} == {"eval"}
    assert source.labels == tuple(EVENTS["ood"])


@pytest.mark.parametrize("task", TASKS)
def test_defaults_and_clip_ids(task):
    source = synthetic.source(task)
    assert len(source.clips) == synthetic.DEFAULT_CLIPS[task]
    assert len({clip.clip_id for clip in source.clips}) == len(source.clips)
    assert len({clip.path for clip in source.clips}) == len(source.clips)
    assert {clip.split for clip in source.clips} == set(synthetic.splits_of(task))


@pytest.mark.parametrize(
    ("rate", "seconds"), [(32_000, 1.7), (44_100, 1.0), (22_050, 1.33337), (8_000, 2.0)]
)
def test_waveform_shape_and_level(rate, seconds):
    source = synthetic.source("multilabel", clips=6, seconds=seconds)
    for clip in source.clips:
        waveform = source.decode(clip, rate)
        assert waveform.dtype == np.float32 and waveform.shape == (round(seconds * rate),)
        assert np.isfinite(waveform).all()
        assert 0.01 < np.abs(waveform).max() <= 1


def test_another_rate_is_the_same_sound():
    source = synthetic.source("multiclass", clips=10, seconds=1)
    for clip in source.clips[:4]:
        expected = soxr.resample(source.decode(clip, 32_000), 32_000, 16_000)
        waveform = source.decode(clip, 16_000)
        low_pass = signal.butter(4, 6000, fs=16_000, output="sos")  # the band both filters keep
        difference = signal.sosfilt(low_pass, waveform - expected)
        assert difference.std() < 0.01 * signal.sosfilt(low_pass, expected).std()


def band_features(waveform):
    """Mean, spread and roughness of 24 log band energies, `[72]`."""
    freqs, _, spectrum = signal.stft(waveform, 32_000, nperseg=1024, noverlap=512)
    edges = np.maximum(np.searchsorted(freqs, np.geomspace(60, 14_000, 25)), np.arange(25) + 1)
    bands = 10 * np.log10(np.add.reduceat(np.abs(spectrum) ** 2, edges, axis=0)[:-1] + 1e-9)
    rough = np.abs(np.diff(bands, axis=-1)).mean(axis=-1)
    return np.concatenate([bands.mean(axis=-1) - bands.mean(), bands.std(axis=-1), rough])


def test_classes_are_learnable_but_not_certain():
    """A random forest on band energies is far above chance (10 %), and cannot be perfect."""
    source = synthetic.source("multiclass", clips=250, seconds=2.0)
    features = np.stack([band_features(source.decode(clip, 32_000)) for clip in source.clips])
    labels = np.array([clip.labels[0] for clip in source.clips])
    forest = RandomForestClassifier(100, random_state=0)
    predicted = cross_val_predict(forest, features, labels, cv=3)
    assert 0.6 < np.mean(predicted == labels) < 0.97
    # The pairs that share a form are what it confuses most.
    pair = {"cricket": "telephone", "telephone": "cricket", "sea waves": "vacuum cleaner",
            "vacuum cleaner": "sea waves"}  # fmt: skip
    wrong = [(a, b) for a, b in zip(labels, predicted, strict=True) if a != b]
    assert np.mean([pair.get(a) == b for a, b in wrong]) > 4 / 90 * 3


def test_write_wav_writes_the_clip(tmp_path):
    path = tmp_path / "cricket.wav"
    clip = synthetic.write_wav(path, "multiclass", 20, seconds=1.5, seed=3)
    assert (clip.split, clip.labels) == ("fold5", ("cricket",))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (32_000, 1, 48_000)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    source = synthetic.source("multiclass", seconds=1.5, seed=3)
    expected = source.decode(next(c for c in source.clips if c == clip), 32_000)
    np.testing.assert_allclose(soundfile.read(path)[0], expected, atol=1.01 / 32_768)


def test_write_wav_takes_a_split_and_an_index_beyond_the_source(tmp_path):
    clip = synthetic.write_wav(tmp_path / "a.wav", "multilabel", 99_999, split="train", seconds=1)
    assert clip.clip_id == "multilabel-train-99999"
    first = (tmp_path / "a.wav").read_bytes()
    synthetic.write_wav(tmp_path / "b.wav", "multilabel", 99_999, split="eval", seconds=1)
    assert (tmp_path / "b.wav").read_bytes() != first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "esc"}, r"'esc' is unknown: choose one of multilabel, multiclass, ood"),
        ({"clips": 0}, r"clips is 0: multilabel needs at least 2, .*train, eval"),
        ({"task": "multiclass", "clips": 4}, r"clips is 4: multiclass needs at least 5"),
        ({"task": "ood", "clips": -3}, r"clips is -3: ood needs at least 1"),
        ({"seconds": 0.99}, r"seconds is 0\.99: a synthetic clip lasts 1 to 60 s"),
        ({"seconds": 61.0}, r"seconds is 61: "),
        ({"seconds": float("nan")}, r"seconds is nan: "),
        ({"seed": -1}, r"seed is -1: give 0 or more"),
        ({"task": "multiclass", "folds": 1}, r"folds is 1: give 2 or more"),
    ],
)
def test_source_errors(arguments, message):
    with pytest.raises(UserError, match=message):
        synthetic.source(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "esc"}, "'esc' is unknown"),
        ({"index": -1}, "index is -1: give 0 or more"),
        ({"split": "fold6"}, "split 'fold6' is not in multiclass: choose one of fold1, .*fold5"),
        ({"seconds": 0.0}, "seconds is 0: "),
        ({"seed": -2}, "seed is -2: "),
    ],
)
def test_write_wav_errors(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        synthetic.write_wav(tmp_path / "x.wav", **arguments)
    assert not (tmp_path / "x.wav").exists()


def test_write_wav_names_a_path_it_cannot_write(tmp_path):
    with pytest.raises(UserError, match=r"Cannot write '.*missing/x\.wav': .*writable"):
        synthetic.write_wav(tmp_path / "missing" / "x.wav", seconds=1)
