"""Archives: what they hold arrives, and nothing arrives elsewhere."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from vipann_tf.downloads.transfer import TransferFailed
from vipann_tf.downloads.unpack import unpack

FILES = {"audio/a.wav": b"a" * 5000, "audio/b/c.wav": b"c", "meta/list.csv": b"x,y\n"}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, **change):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in change.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return path


def unpacked(archive, steps=None):
    directory = archive.parent / "content"
    steps = [] if steps is None else steps
    return unpack(archive, directory, on_progress=lambda *step: steps.append(step))


def content(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(("make", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])
def test_content_and_progress(tmp_path, make, name):
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "left").write_text("by an interrupted run")
    steps = []
    directory = unpacked(make(tmp_path / name, FILES), steps)
    assert directory == tmp_path / "content" and content(directory) == FILES
    assert [step[0] for step in steps] == [1, 2, 3]
    assert steps[-1] == (3, 3, f"files of {name} unpacked")


@pytest.mark.parametrize(("make", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])
def test_the_folder_around_everything_is_taken_off(tmp_path, make, name):
    inside = {f"Set-1.0/{path}": data for path, data in FILES.items()}
    directory = unpacked(make(tmp_path / name, inside))
    assert directory.name == "Set-1.0" and content(directory) == FILES


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "..\\evil", "\\\\host\\share\\evil"]
)
def test_a_zip_that_leads_out(tmp_path, name):
    archive = zipped(tmp_path / "a.zip", {"good": b"", name: b"evil"})
    with pytest.raises(TransferFailed, match="a.zip holds the name .*evil.* leads out") as error:
        unpacked(archive)
    assert repr(name) in str(error.value)
    assert list(tmp_path.iterdir()) == []  # also no archive


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../evil"},
        {"name": "evil", "type": tarfile.SYMTYPE, "linkname": "../../outside"},
        {"name": "evil", "type": tarfile.LNKTYPE, "linkname": "../../outside"},
        {"name": "evil", "type": tarfile.CHRTYPE},
    ],
)
def test_a_tar_that_leads_out(tmp_path, change):
    archive = tarred(tmp_path / "a.tar.gz", {"evil": b""}, **change)
    with pytest.raises(
        TransferFailed, match=r"a.tar.gz holds an entry that .*evil.*; do not trust"
    ):
        unpacked(archive)
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_name_in_a_tar_stays_inside(tmp_path):
    """Python takes the slash off, as tar programs do."""
    directory = unpacked(tarred(tmp_path / "a.tar.gz", {f"{tmp_path}/evil": b"x"}))
    assert not (tmp_path / "evil").exists()
    assert list(content(directory).values()) == [b"x"]


def test_a_python_without_the_filter(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    archive = tarred(tmp_path / "a.tar.gz", FILES)
    with pytest.raises(TransferFailed, match=r"Python 3\.\d+.* can't unpack a.tar.gz safely; use"):
        unpacked(archive)
    assert archive.exists()


@pytest.mark.parametrize(("make", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])
@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_damage_is_seen(tmp_path, make, name, where):
    """Noise can't be compressed, so that the bytes change and nothing else."""
    noise = np.random.default_rng(0).bytes(20_000)
    archive = make(tmp_path / name, {"a": noise, "b": noise})
    data = bytearray(archive.read_bytes())
    data[int(len(data) * where)] ^= 1
    archive.write_bytes(data)
    with pytest.raises(TransferFailed, match=f"{name} is damaged .*It was deleted"):
        unpacked(archive)
    assert list(tmp_path.iterdir()) == []


def test_a_tar_that_was_cut(tmp_path):
    archive = tarred(tmp_path / "a.tar.gz", FILES)
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(TransferFailed, match="a.tar.gz is damaged"):
        unpacked(archive)


def test_what_is_no_archive(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_text("<html>")
    with pytest.raises(TransferFailed, match="a.zip is neither a zip nor a tar archive"):
        unpacked(archive)


def test_a_disk_that_can_not_be_written(tmp_path):
    """Two entries that need the same name, once as a file and once as a folder."""
    archive = zipped(tmp_path / "a.zip", {"a": b"", "a/b": b""})
    with pytest.raises(
        TransferFailed, match=f"a.zip can't be unpacked at {tmp_path}: .*; make room"
    ):
        unpacked(archive)
    assert list(tmp_path.iterdir()) == [archive]
