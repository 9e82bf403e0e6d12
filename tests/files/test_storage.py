"""Local files, and an S3 server on loopback."""

import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.recordings_folder import recordings
from vipann_tf.errors import UserError
from vipann_tf.files import storage


def write_and_fail(path):
    with storage.open_write(path) as file:
        file.write(b"other")
        raise ZeroDivisionError


def test_local_files(tmp_path):
    path = storage.join(tmp_path, "a.bin")
    assert storage.size(path) is None and storage.list_names(tmp_path / "none") == []
    with storage.open_write(path) as file:
        file.write(b"half")
        assert not os.path.exists(path)
    assert storage.read_bytes(path) == b"half" and storage.size(path) == 4
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path)
    assert storage.read_bytes(path) == b"half"
    storage.remove(path)
    storage.remove(path)
    assert storage.size(path) is None
    for missing in (path, storage.join(__file__, "x")):
        with pytest.raises(FileNotFoundError):
            storage.read_bytes(missing)


def test_paths():
    assert storage.is_remote("s3://bucket/x") and not storage.is_remote("/a/b")
    assert storage.join("s3://bucket/dir/", "x") == "s3://bucket/dir/x"
    assert storage.join("dir", "x") == os.path.join("dir", "x")


def test_s3_without_tensorflow_io(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    storage._load_s3.cache_clear()
    with pytest.raises(UserError, match=r"s3:// paths need .* install vipann-tf\[io\]"):
        storage.size("s3://bucket/key")
    assert not storage.aborts_at_exit()


def test_s3(tmp_path):
    pytest.importorskip("moto", reason="needs moto, an S3 server for tests")
    pytest.importorskip("tensorflow_io", reason="needs tensorflow-io (the extra io: make test-io)")
    source = recordings(tmp_path / "source")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.s3_server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "S3_ENDPOINT": endpoint,
            "S3_USE_HTTPS": "0",
            "S3_VERIFY_SSL": "0",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.helpers.s3_round_trip",
                str(source),
                str(tmp_path / "out"),
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.stdin.close()
        server.wait(30)
    assert done.returncode == 0 and done.stdout == "ok\n", done.stderr[-4000:]
