import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.errors import UserError

# One of every vessel type, as the metadata spells them.
TYPES = {
    6: ("Passengers", "C"), 15: ("Tugboat", "A"), 18: ("RORO", "D"), 22: ("Ocean liner", "D"),
    26: ("Motorboat", "B"), 28: ("Trawler", "A"), 29: ("Pilot ship", "B"), 37: ("Sailboat", "B"),
    46: ("Mussel boat", "A"), 73: ("Fishboat", "A"), 80: ("Dredger", "A"),
    81: ("Natural ambient noise", "E"),
}  # fmt: skip


def miniature(root, header="ID,Filename,Name,Type,Duration"):
    rows = [f'{n},{n}__x.wav,"A, {n}",{kind},0:01' for n, (kind, _) in TYPES.items()]
    text(root / "shipsEar.csv", header, *rows, ",,,,")
    for number in TYPES:
        audio(root / f"{number}__10_07_13_name.wav", seconds=1.25)
    return root


def test_classes_and_windows(tmp_path):
    source = datasets.load("shipsear", miniature(tmp_path), seconds=0.5)
    assert (source.task, source.labels, source.clip_seconds) == ("multiclass", tuple("ABCDE"), 0.5)
    by_recording = {}
    for clip in source.clips:
        by_recording.setdefault(clip.path, []).append(clip)
    assert len(by_recording) == 12
    for path, clips in by_recording.items():
        number = int(path.rsplit("/", 1)[-1].split("_")[0])
        assert {clip.labels for clip in clips} == {(TYPES[number][1],)}
        assert [(clip.offset_s, clip.duration_s) for clip in clips] == [(0.0, 0.5), (0.5, 0.5)]
    assert len({clip.clip_id for clip in source.clips}) == 24
    assert "6__10_07_13_name@0.5" in {clip.clip_id for clip in source.clips}


def test_windows_of_a_recording_share_a_fold_and_classes_spread_over_folds(tmp_path):
    source = datasets.load("shipsear", miniature(tmp_path), seconds=0.25, folds=3)
    folds = {}
    for clip in source.clips:
        folds.setdefault(clip.path, set()).add(clip.split)
    assert all(len(splits) == 1 for splits in folds.values())
    working = {clip.split for clip in source.clips if clip.labels == ("A",)}
    assert working == {"fold1", "fold2", "fold3"}


def test_short_and_unreadable_recordings_are_one_window(tmp_path):
    miniature(tmp_path)
    (tmp_path / "6__10_07_13_name.wav").write_text("not audio")
    counts = {}
    for clip in datasets.load("shipsear", tmp_path, seconds=5.0).clips:
        counts[clip.path] = counts.get(clip.path, 0) + 1
    assert len(counts) == 12 and set(counts.values()) == {1}


def test_other_header_spelling_and_unknown_recordings(tmp_path):
    miniature(tmp_path, header="Id,File,Name,type,Duration")
    audio(tmp_path / "99__new.wav")
    audio(tmp_path / "no_number.wav")
    text(tmp_path / "shipsEar.csv", "Id,Type", "99,Submarine", "6,passengers")
    source = datasets.load("shipsear", tmp_path)
    assert [clip.labels for clip in source.clips] == [("C",)]
    details = {r.clip_id: (r.reason, r.detail) for r in source.rejected}
    assert details["99__new"] == ("no-label", "type 'Submarine' has no class")
    assert details["no_number"] == ("no-label", "no such id in the metadata")
    assert len(details) == 13


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seconds": 0.0}, "seconds is 0.0; use a window"),
        ({"folds": 1}, "folds is 1; use 2 or more"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        datasets.load("shipsear", miniature(tmp_path), **options)


def test_another_layout(tmp_path):
    audio(tmp_path / "1__a.wav")
    with pytest.raises(UserError, match="exactly one CSV file; found 1__a.wav"):
        datasets.load("shipsear", tmp_path)
    text(tmp_path / "meta.csv", "ID,Name", "1,x")
    with pytest.raises(UserError, match="no column 'Type'"):
        datasets.load("shipsear", tmp_path)
    text(tmp_path / "meta.csv", "ID,Type", "one,RORO")
    with pytest.raises(UserError, match="ID 'one' is not a number"):
        datasets.load("shipsear", tmp_path)
    (tmp_path / "1__a.wav").unlink()
    text(tmp_path / "meta.csv", "ID,Type", "1,RORO")
    with pytest.raises(UserError, match="looked for audio files; found meta.csv"):
        datasets.load("shipsear", tmp_path)
