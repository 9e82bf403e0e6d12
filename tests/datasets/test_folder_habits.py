"""Folders as people keep them: spellings, links, other files, missing sounds."""

import os
import sys

import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.datasets import tree
from vipann_tf.errors import UserError

NFC, NFD = "caf\u00e9", "cafe\u0301"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


def sounds(root, *names):
    for name in names:
        audio(root / name)
    return root


def notices(source):
    return {notice.kind: notice for notice in source.notices}


def rejected(source):
    return {row.clip_id: row.reason for row in source.rejected}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know one of the names alone")
def test_two_spellings_that_look_the_same_are_one_label(tmp_path):
    sounds(tmp_path, f"{NFC}/a.wav", f"{NFD}/b.wav", "dog/a.wav", "dog /b.wav", "big  bird/x.wav")
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("big bird", NFC, "dog")
    assert [clip.labels for clip in source.clips if clip.clip_id.startswith("dog")] == [
        ("dog",)
    ] * 2
    assert (tmp_path / f"{NFD}/b.wav").exists() and any(
        clip.clip_id == f"{NFD}/b.wav" and clip.labels == (NFC,) for clip in source.clips
    )
    details = [x.detail for x in source.notices if x.kind == "label-spelling"]
    assert details == [
        f"'cafe\\u0301' and 'caf\\xe9' look the same, and are one label: '{NFC}'",
        "'dog' and 'dog ' look the same, and are one label: 'dog'",
    ]


@pytest.mark.parametrize(
    "one, other", [("Dog", "dog"), ("\u00c9l\u00e9phant", "\u00e9l\u00e9phant")]
)
def test_labels_that_differ_in_capitals_are_refused(tmp_path, one, other):
    sounds(tmp_path, f"train/{one}/a.wav", f"eval/{other}/a.wav", "eval/cat/a.wav")
    with pytest.raises(UserError, match=f"labels '{one}' and '{other}' differ in capital letters"):
        datasets.load("folder", tmp_path)


def test_separators_that_differ_are_noticed(tmp_path):
    sounds(tmp_path, "bus_stop/a.wav", "bus stop/a.wav", "-5/a.wav", "5/a.wav", "Ma\u00dfe/a.wav")
    sounds(tmp_path, "Masse/a.wav")
    source = datasets.load("folder", tmp_path)
    assert len(source.labels) == 6
    [notice] = [x for x in source.notices if x.kind == "similar-labels"]
    assert notice.detail.startswith("'bus stop' and 'bus_stop' are two labels")


def test_labels_that_list_labels_are_noticed(tmp_path):
    sounds(tmp_path, "dog/a.wav", "cat/a.wav", "dog, cat/a.wav", "dog & owl/a.wav", "a\u200b/a.wav")
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("a", "cat", "dog", "dog & owl", "dog, cat")
    detail = notices(source)["similar-labels"].detail
    assert detail == "'dog, cat' is one label, and so is each of dog, cat"


def test_a_single_class_is_refused_or_noticed(tmp_path):
    sounds(tmp_path, "dog/a.wav", "dog/b.wav")
    with pytest.raises(UserError, match="'dog' is the single label.* or use --task multilabel"):
        datasets.load("folder", tmp_path)
    source = datasets.load("folder", tmp_path, task="multilabel")
    assert "add clips without a label" in notices(source)["single-label"].detail


def test_a_single_folder_of_class_folders_names_the_source(tmp_path):
    sounds(tmp_path, "all/dog/a.wav", "all/cat/b.wav")
    where = str(tmp_path / "all").replace("\\", "\\\\")
    with pytest.raises(UserError, match=f"if the folders in {where} are the classes, name it as"):
        datasets.load("folder", tmp_path)


def test_numbered_folders_of_folders_are_noticed(tmp_path):
    sounds(tmp_path, "0/siteA/a.wav", "0/siteB/a.wav", "1/siteA/a.wav", "1/siteB/a.wav")
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("siteA", "siteB")
    assert "0, 1 were taken as folds" in notices(source)["numbers-as-folds"].detail
    for name in ("fold1/dog/a.wav", "fold2/cat/a.wav"):
        audio(tmp_path / "named" / name)
    assert not datasets.load("folder", tmp_path / "named").notices


def test_folders_in_classes_are_noticed(tmp_path):
    sounds(tmp_path, "dog/monday/a.wav", "dog/monday/deep/a.wav", "cat/b.wav")
    found = notices(datasets.load("folder", tmp_path))
    assert found.keys() == {"nested-folders"}
    assert found["nested-folders"].detail.startswith("files in dog/monday belong to the class")


def test_classes_without_a_sound_are_noticed(tmp_path):
    sounds(tmp_path, "dog/a.wav", "cat/b.wav")
    (tmp_path / "owl").mkdir()
    text(tmp_path / "crow/readme.txt", "x")
    text(tmp_path / "hen/x.raw", "x")
    text(tmp_path / "__MACOSX/dog/._a.wav", "x")
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("cat", "dog", "hen")  # hen: transfer refuses it
    empty = {
        os.path.basename(notice.path): notice.detail
        for notice in source.notices
        if notice.kind == "empty-folder"
    }
    assert empty.keys() == {"owl", "crow", "hen"}
    assert empty["owl"].endswith(", so 'owl' is not one of the labels")
    assert empty["hen"].endswith("that can be read")


def test_splits_without_a_sound_are_noticed(tmp_path):
    sounds(tmp_path, "train/dog/a.wav", "train/cat/b.wav")
    (tmp_path / "eval/dog").mkdir(parents=True)
    (tmp_path / "train/owl").mkdir()
    found = {os.path.basename(x.path): x.detail for x in datasets.load("folder", tmp_path).notices}
    assert found.keys() == {"eval", "owl"}
    assert found["eval"].endswith("so 'eval' is not one of the splits")


@LINKS
def test_drives_that_do_not_number_files(tmp_path, monkeypatch):
    root = sounds(tmp_path / "set", "dog/a.wav", "cat/b.wav")
    (root / "dog/up").symlink_to("..")
    (root / "dog/link.wav").symlink_to("a.wav")
    monkeypatch.setattr(tree, "_key", lambda _: None)
    source = datasets.load("folder", root)
    assert len(source.clips) == 3 and notices(source).keys() == {"linked-folder"}


def test_every_file_is_a_clip_or_a_rejection_or_counted(tmp_path):
    good = (
        "a.wav",
        "b.FLAC",
        "c.mp2",
        "d.wv",
        "e.mka",
        "f.w4v",
        "g.amr",
        "h.3gp",
        "i.M4A",
        "j.ape",
    )
    odd = {
        "raw.raw": "headerless",
        "t.PCM": "headerless",
        "noext": "unknown-suffix",
        "b.wav.part": "unknown-suffix",
        "x.xyz": "unknown-suffix",
        "old.zip": "archive",
    }
    beside = ("README", "a.txt", "b.txt", "spec.PNG", "list.csv", "a.TextGrid")
    hidden = (".DS_Store", "._a.wav", "Thumbs.db", "desktop.ini", "@eaDir/a.wav")
    for name in (*good, *odd, *beside, *hidden):
        text(tmp_path / "dog" / name, "x")
    text(tmp_path / "cat/a.wav", "x")
    source = datasets.load("folder", tmp_path)
    assert [clip.clip_id for clip in source.clips] == ["cat/a.wav", *(f"dog/{x}" for x in good)]
    assert rejected(source) == {f"dog/{name}": reason for name, reason in odd.items()}
    [notice] = source.notices
    assert (notice.kind, notice.path) == ("not-audio", str(tmp_path))
    assert notice.detail.startswith(
        "2 .txt, 1 without a suffix, 1 .csv, 1 .png, 1 .textgrid: files that are no sounds"
    )
    details = {row.clip_id: row.detail for row in source.rejected}
    assert "ffmpeg -f s16le" in details["dog/raw.raw"]
    assert "it has no suffix; give it that of its format" in details["dog/noext"]


def test_no_readable_sound_says_why(tmp_path):
    text(tmp_path / "dog/x.raw", "x")
    with pytest.raises(UserError, match="found dog/; .*x.raw: headerless audio"):
        datasets.load("folder", tmp_path)


@LINKS
@pytest.mark.parametrize("target", ["..", ".", "../cat", "../.."])
def test_a_link_to_a_folder_that_is_listed_is_left_out(tmp_path, target):
    root = sounds(tmp_path / "set", "dog/a.wav", "cat/b.wav")
    (root / "dog/link").symlink_to(target)
    (root / "cat/self").symlink_to("self")  # leads to itself
    source = datasets.load("folder", root)
    assert {clip.clip_id: clip.labels for clip in source.clips} == {
        "cat/b.wav": ("cat",),
        "dog/a.wav": ("dog",),
    }
    linked = [notice for notice in source.notices if notice.kind == "linked-folder"]
    assert linked and "which is listed already" in linked[0].detail
    assert rejected(source) == {"cat/self": "unknown-suffix"}


@LINKS
def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    store = sounds(tmp_path / "store", "barks/a.wav", "barks/deep/b.wav", "crows/c.wav")
    (store / "barks/deep/up").symlink_to(store)
    root = tmp_path / "set"
    root.mkdir()
    for label, folder in (("a_link", "barks"), ("cock", "crows"), ("dog", "barks")):
        (root / label).symlink_to(store / folder)
    source = datasets.load("folder", root)
    assert [clip.clip_id for clip in source.clips] == [
        "a_link/a.wav", "a_link/deep/b.wav", "cock/c.wav",
    ]  # fmt: skip
    kinds = [notice.kind for notice in source.notices]
    assert kinds.count("linked-folder") == 3  # dog, and barks and crows below up


@LINKS
def test_a_file_that_is_reached_twice_is_one_clip(tmp_path):
    sounds(tmp_path, "dog/a.wav", "cat/b.wav", "dog/copy.wav")
    (tmp_path / "dog/link.wav").symlink_to("a.wav")
    os.link(tmp_path / "dog/a.wav", tmp_path / "dog/z_hard.wav")
    source = datasets.load("folder", tmp_path)
    assert [clip.clip_id for clip in source.clips] == ["cat/b.wav", "dog/a.wav", "dog/copy.wav"]
    assert {row.clip_id: row.detail for row in source.rejected} == {
        "dog/link.wav": "it is the same file as dog/a.wav",
        "dog/z_hard.wav": "it is the same file as dog/a.wav",
    }
    (tmp_path / "cat/both.wav").symlink_to("../dog/a.wav")
    with pytest.raises(UserError, match="both.wav is linked from the classes cat and dog"):
        datasets.load("folder", tmp_path)
    clips = datasets.load("folder", tmp_path, task="multilabel").clips
    assert {clip.clip_id: clip.labels for clip in clips}["cat/both.wav"] == ("cat", "dog")


def test_the_tree_is_walked_once(tmp_path, monkeypatch):
    sounds(tmp_path, "dog/a.wav", "cat/b.wav", "cat/deep/c.wav")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    datasets.load("folder", tmp_path)
    assert sorted(listed) == sorted(str(tmp_path / name) for name in ("", "cat", "cat/deep", "dog"))


def test_folders_that_cannot_be_listed_are_noticed(tmp_path, monkeypatch):
    sounds(tmp_path, "dog/a.wav", "cat/b.wav", "lost/c.wav")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("lost"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("cat", "dog")
    assert "Permission denied" in notices(source)["unreadable-folder"].detail
