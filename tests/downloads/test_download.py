"""An entry by its name: complete or absent, resumed, and not fetched twice."""

import hashlib
import io
import json
import zipfile

import pytest

from vipann_tf import datasets
from vipann_tf.downloads import Entry, default_directory, download, is_complete
from vipann_tf.errors import UserError


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in files.items():
            content.writestr(name, data)
    return buffer.getvalue()


def described(server, name, body, **facts):
    facts = {"sha256": hashlib.sha256(body).hexdigest(), **facts}
    return {"name": name, "url": f"{server.address}/{name}", "size": len(body), **facts}


def entry(*files, **facts):
    facts = {"title": "a set", "page": "https://host.org/a", "licence": "CC0", **facts}
    return Entry(files=files, **facts)


def run(wanted, directory, *, overwrite=False):
    said = []
    download(
        "mine",
        wanted,
        directory,
        overwrite=overwrite,
        on_progress=lambda *_: None,
        on_notice=said.append,
    )
    return said


@pytest.fixture
def esc50(server):
    """ESC-50 in miniature, packed as GitHub does."""
    meta = "filename,fold,target,category,esc10\n1-1-A-0.wav,1,0,dog,True\n"
    files = {"ESC-50-abc/meta/esc50.csv": meta, "ESC-50-abc/audio/1-1-A-0.wav": "no audio"}
    body = archive(files)
    resource = server.add("/esc50.zip", body)
    return resource, entry(described(server, "esc50.zip", body, unpack="."))


def test_an_archive_becomes_what_prepare_reads(esc50, tmp_path):
    _, wanted = esc50
    run(wanted, tmp_path / "deep" / "esc50")
    source = datasets.load("esc50", tmp_path / "deep" / "esc50")
    assert [clip.clip_id for clip in source.clips] == ["1-1-A-0"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["esc50"]


def test_two_archives_have_a_folder_each(server, tmp_path):
    """The second has no folder of its own; both become what `prepare dcase2013` reads."""
    bodies = {
        "scenes_stereo.zip": archive({"scenes_stereo/bus01.wav": "", "readme.txt": ""}),
        "scenes_stereo_testset.zip": archive({"bus01.wav": ""}),
    }
    files = []
    for name, body in bodies.items():
        server.add(f"/{name}", body)
        files.append(described(server, name, body, unpack=name.removesuffix(".zip")))
    run(entry(*files), tmp_path / "dcase")
    clips = datasets.load("dcase2013", tmp_path / "dcase").clips
    assert sorted(clip.split for clip in clips) == ["development", "evaluation"]


def test_the_directory_says_where_it_came_from(server, tmp_path):
    server.add("/a.csv", b"1")
    wanted = entry(described(server, "a.csv", b"1"))
    assert not is_complete(tmp_path / "set", "mine")
    run(wanted, tmp_path / "set")
    assert (tmp_path / "set" / "a.csv").read_bytes() == b"1"
    held = json.loads((tmp_path / "set" / "download.json").read_text())
    assert (held["name"], held["licence"], held["page"]) == ("mine", "CC0", "https://host.org/a")
    assert held["files"][0]["sha256"] == wanted.files[0].sha256
    assert is_complete(tmp_path / "set", "mine")
    with pytest.raises(UserError, match="set holds mine, not yours; choose another directory"):
        is_complete(tmp_path / "set", "yours")


def test_what_exists_is_replaced_only_if_asked(server, tmp_path):
    server.add("/a.csv", b"1")
    wanted = entry(described(server, "a.csv", b"1"))
    run(wanted, tmp_path / "set")
    with pytest.raises(UserError, match="set exists; choose another .* or add --overwrite"):
        run(wanted, tmp_path / "set")
    server.add("/a.csv", b"2")
    run(entry(described(server, "a.csv", b"2")), tmp_path / "set", overwrite=True)
    assert (tmp_path / "set" / "a.csv").read_bytes() == b"2"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "recording.wav").touch()
    with pytest.raises(UserError, match=r"own exists and is not a directory that this command"):
        run(wanted, tmp_path / "own", overwrite=True)


def test_files_that_have_arrived_survive_a_failure(server, tmp_path):
    first = server.add("/a.csv", b"1")
    server.add("/b.csv", b"22", cuts=[1, 0])
    wanted = entry(described(server, "a.csv", b"1"), described(server, "b.csv", b"22"))
    with pytest.raises(UserError, match=r"b.csv broke off after 1 bytes.* page: https://host.org"):
        run(wanted, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    run(wanted, tmp_path / "set")
    assert (tmp_path / "set" / "b.csv").read_bytes() == b"22"
    assert len(first.requests) == 1
    assert server.resources["/b.csv"].ranges_asked == [None, "bytes=1-", "bytes=1-"]


def test_a_wrong_checksum_keeps_nothing(server, tmp_path):
    server.add("/a.csv", b"1")
    wrong = entry(described(server, "a.csv", b"1", sha256="0" * 64))
    with pytest.raises(UserError, match="SHA256 of a.csv is 6b86.*but 0000.* is expected"):
        run(wrong, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_an_evil_archive_keeps_nothing(server, tmp_path):
    body = archive({"../evil": "x"})
    server.add("/a.zip", body)
    with pytest.raises(UserError, match=r"holds the name '\.\./evil', which leads out"):
        run(entry(described(server, "a.zip", body, unpack=".")), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_entries_and_places_that_can_not_be_served(tmp_path):
    by_hand = entry(how="Write to its authors.")
    with pytest.raises(UserError, match=r"mine can't .* Write to its authors. \(https://host"):
        run(by_hand, tmp_path / "set")
    file = {"name": "a", "url": "http://127.0.0.1:1/a", "size": 1, "md5": "0" * 32}
    with pytest.raises(UserError, match="s3://bucket/set is not on this machine"):
        run(entry(file), "s3://bucket/set")


def test_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VIPANN_TF_CACHE", str(tmp_path))
    assert default_directory("esc50") == tmp_path / "esc50"
    monkeypatch.delenv("VIPANN_TF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))  # of Linux
    assert default_directory("esc50").parts[-2:] == ("vipann-tf", "esc50")
