"""Preparation as a whole: every input accounted for, the same bytes whatever happens on the way."""

import csv
import os
import shutil

import numpy as np
import pytest
import soundfile

from tests.helpers import slow_preparation
from tests.helpers.mutations import lost_in_silence, write_mutants
from tests.helpers.paths import SOUNDS
from tests.helpers.prepared import contents, records
from vipann_tf import datasets
from vipann_tf.audio.decoding import DecodeError
from vipann_tf.datasets.base import Clip, Rejection, Source
from vipann_tf.errors import UserError
from vipann_tf.records import prepare as prepare_module
from vipann_tf.records import schema
from vipann_tf.records.label_sets import read_label_sets
from vipann_tf.records.prepare import prepare


def rejected(directory) -> dict[str, str]:
    with open(directory / "rejected.csv", encoding="utf-8", newline="") as file:
        return {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}


@pytest.fixture
def recordings(tmp_path):
    """Three good files of different rates and lengths in two classes, one clipped, one silent."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "recordings"
    for name, rate, seconds, level in (
        ("dog/long.wav", 16_000, 2.5, 0.1),
        ("dog/short.flac", 16_000, 0.75, 0.1),
        ("cat/loud.wav", 16_000, 1.0, 3.0),
        ("cat/silent.wav", 48_000, 1.0, 0.0),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.clip(rng.normal(0, 1, int(rate * seconds)) * level, -1, 1)
        soundfile.write(path, samples, rate, subtype="PCM_16")
    return folder


def test_records_hold_the_recordings(recordings, tmp_path):
    source = datasets.load("folder", recordings)
    info = prepare(source, tmp_path / "out", seconds=1.0, sample_rate_hz=16_000)
    found = records(tmp_path / "out", "train")
    assert sorted(found) == ["cat/loud.wav", "cat/silent.wav", "dog/long.wav", "dog/short.flac"]
    for name, feature in found.items():
        stored = np.frombuffer(feature["waveform"].bytes_list.value[0], "<i2")
        assert len(stored) == 16_000
        assert feature["labels"].int64_list.value == [name.startswith("dog")]
        if not name.endswith("silent.wav"):
            samples, _ = soundfile.read(recordings / name, dtype="int16")
            kept = samples[:16_000]  # cut at the end, or padded there
            np.testing.assert_array_equal(stored[: len(kept)], kept)
            assert not stored[len(kept) :].any()
    split = info.splits["train"]
    assert (split.clips, split.label_counts, split.silent, split.clipped) == (4, [2, 2], 1, 1)
    assert split.shard_clips == [1, 1, 1, 1]
    assert schema.read_dataset_info(tmp_path / "out") == info
    assert contents(tmp_path / "out")["rejected.csv"] == b"path,clip_id,reason,detail\n"
    sizes = [(tmp_path / "out" / schema.shard_name("train", n, 4)).stat().st_size for n in range(4)]
    assert split.shard_bytes == sizes


def test_inputs_are_records_and_rejections(recordings, tmp_path):
    (recordings / "dog/broken.wav").write_text("no audio")
    (recordings / "dog/empty.wav").write_bytes(b"")
    (recordings / "cat/gone.wav").symlink_to("nowhere")
    soundfile.write(recordings / "cat/blip.wav", np.ones(100), 16_000)
    soundfile.write(recordings / "cat/nan.wav", np.full(9_000, np.nan), 16_000, subtype="FLOAT")
    (recordings / "stray.wav").write_bytes(b"")
    os.mkdir(recordings / "dog" / os.fsdecode(b"caf\xe9"))
    (recordings / "dog" / os.fsdecode(b"caf\xe9") / "x.wav").write_bytes(b"")
    source = datasets.load("folder", recordings)
    info = prepare(source, tmp_path / "out", seconds=1.0)
    reasons = rejected(tmp_path / "out")
    assert reasons == {
        "dog/broken.wav": "undecodable",
        "dog/empty.wav": "empty",
        "cat/gone.wav": "missing-file",
        "cat/blip.wav": "too-short",
        "cat/nan.wav": "non-finite",
        "stray.wav": "no-label",
        "dog/caf\\udce9/x.wav": "empty",
    }
    assert info.rejected == {
        "empty": 2, "missing-file": 1, "no-label": 1, "non-finite": 1, "too-short": 1,
        "undecodable": 1,
    }  # fmt: skip
    assert info.clips + len(reasons) == len(source.clips) + len(source.rejected)


def test_damaged_files_are_records_or_rejections(tmp_path):
    """A sample; benchmarks/hostile_data.py has two thousand."""
    names = write_mutants(tmp_path / "mutants" / "noise", 130, seed=5)
    source = datasets.load("folder", tmp_path / "mutants", task="multilabel")
    info = prepare(source, tmp_path / "out", seconds=1.0)
    found, reasons = records(tmp_path / "out", "train"), rejected(tmp_path / "out")
    assert sorted([*found, *reasons]) == sorted(f"noise/{name}" for name in names)
    assert len(found) > 10 and len(reasons) > 10 and info.clips == len(found)
    lost = [lost_in_silence(tmp_path / "mutants" / name) for name in found]
    assert [words for words in lost if words] == []


def test_one_and_two_workers_write_the_same(tmp_path):
    source = datasets.load("synthetic", clips=24, seconds=1.0, seed=3)
    first = prepare(source, tmp_path / "one", workers=1, shards=3)
    second = prepare(source, tmp_path / "two", workers=2, shards=3)
    assert first == second and contents(tmp_path / "one") == contents(tmp_path / "two")
    assert first.fingerprint == second.fingerprint


def test_real_recordings_by_one_and_two_workers(tmp_path):
    for sound in SOUNDS.glob("*.ogg"):
        (tmp_path / "sounds" / sound.stem).mkdir(parents=True)
        shutil.copy(sound, tmp_path / "sounds" / sound.stem)
    source = datasets.load("folder", tmp_path / "sounds")
    assert len(source.clips) == 12
    prepare(source, tmp_path / "one", workers=1)
    prepare(source, tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def broken(clip, sample_rate_hz):
    raise ZeroDivisionError("a bug of ours")


@pytest.mark.parametrize("workers", [1, 2])
def test_our_own_mistakes_are_not_rejections(tmp_path, workers):
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        prepare(slow_preparation.source(broken), tmp_path / "out", workers=workers)


def unusable(clip, sample_rate_hz):
    raise DecodeError("empty", "0 samples")


def half_usable(clip, sample_rate_hz):
    return (
        unusable(clip, sample_rate_hz)
        if clip.split == "eval"
        else slow_preparation.decode(clip, sample_rate_hz)
    )


def test_none_usable_is_an_error(tmp_path):
    with pytest.raises(UserError, match="none of 60 clips of dataset slow is usable .60 empty."):
        prepare(slow_preparation.source(unusable), tmp_path / "out")
    assert os.listdir(tmp_path) == []
    nothing = Source("slow", "multilabel", ("a",), (), 1.0)
    with pytest.raises(UserError, match="dataset slow lists no clips"):
        prepare(nothing, tmp_path / "out")
    gone = Source("slow", "multilabel", ("a",), (), 1.0, (Rejection("p", "i", "missing-file"),))
    with pytest.raises(UserError, match="none of 1 clips .* .1 missing-file., for example p: miss"):
        prepare(gone, tmp_path / "out")


def test_a_split_without_records_is_left_out(tmp_path):
    info = prepare(slow_preparation.source(half_usable), tmp_path / "out")
    assert list(info.splits) == ["train"] and info.rejected == {"empty": 20}
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith("eval")]


def test_label_sets(tmp_path):
    clips = [
        Clip(str(n), "", labels, "train")
        for n, labels in enumerate([("a",), ("b", "a"), (), ("a", "b"), ("b", "b")])
    ]
    source = Source("mine", "multilabel", ("a", "b"), clips, 0.5, decode=slow_preparation.decode)
    prepare(source, tmp_path / "out", shards=2)
    assert read_label_sets(tmp_path / "out", ["train"]) == {(): 1, (0,): 1, (1,): 1, (0, 1): 2}


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_the_total(tmp_path, workers):
    seen = []
    prepare(
        slow_preparation.source(),
        tmp_path / "out",
        workers=workers,
        on_progress=lambda *pair: seen.append(pair),
    )
    assert seen[0] == (0, 60) and seen[-1] == (60, 60)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert any(0 < done < 60 for done, _ in seen)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"workers": 0}, "workers is 0; use 1 or more"),
        ({"beam_options": ["--runer=Flink"]}, "option --runer=Flink is unknown; .* needs --runner"),
        ({"runner": "dask", "workers": 3}, "workers is 3, but the cluster of runner 'dask' deter"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        prepare(slow_preparation.source(), tmp_path / "out", **arguments)


def test_changed_files_are_read_again(recordings, tmp_path, monkeypatch):
    source = datasets.load("folder", recordings)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "summarize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", seconds=1.0)
    monkeypatch.undo()
    soundfile.write(recordings / "dog/long.wav", np.full(16_000, 0.25), 16_000)
    prepare(source, tmp_path / "out", seconds=1.0)
    stored = records(tmp_path / "out", "train")["dog/long.wav"]["waveform"].bytes_list.value[0]
    assert np.frombuffer(stored, "<i2")[16_000] == 8_192
