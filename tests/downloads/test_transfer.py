"""One file over HTTP, and the ways in which a server and a network fail, on this machine."""

import socket
import types

import numpy as np
import pytest

from vipann_tf.downloads.table import RemoteFile
from vipann_tf.downloads.transfer import TransferFailed, check, fetch

BODY = np.random.default_rng(0).integers(0, 256, 1_000_003, dtype=np.uint8).tobytes()
# The test vectors of RFC 1321 (MD5) and FIPS 180-2 (SHA-256).
ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72"
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class Transfer:
    """A transfer of /file, and what it said."""

    def __init__(self, server, directory, **facts):
        facts = {
            "unverified": "checksum",
            **({} if "size" in facts else {"about_mb": 0.2}),
            **facts,
        }
        self.file = RemoteFile(name="file.bin", url=f"{server.address}/file", **facts)
        self.part = directory / "file.bin.part"
        self.notices, self.progress = [], []

    def run(self):
        fetch(
            self.file,
            self.part,
            on_progress=lambda *step: self.progress.append(step),
            on_notice=self.notices.append,
        )
        return self.part.read_bytes()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_file_arrives(server, tmp_path, framing):
    resource = server.add("/file", BODY, framing=framing)
    transfer = Transfer(server, tmp_path)
    assert transfer.run() == BODY
    assert transfer.notices == [] and resource.ranges_asked == [None]
    assert resource.requests[0]["User-Agent"].startswith("vipann-tf/")
    done = [step[0] for step in transfer.progress]
    assert done == sorted(done) and transfer.progress[-1] == (1, 1, "MB of file.bin")


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_transfer_that_breaks_off_goes_on_by_itself(server, tmp_path, framing):
    """Where only the connection's end marks the body's, the size in the table shows the break."""
    resource = server.add("/file", BODY, framing=framing, cuts=[400_000, 250_000])
    transfer = Transfer(server, tmp_path, size=len(BODY))
    assert transfer.run() == BODY
    assert resource.ranges_asked == [None, "bytes=400000-", "bytes=650000-"]
    assert transfer.notices == ["the transfer of file.bin broke off; going on"] * 2


def test_an_earlier_part_is_completed(server, tmp_path):
    resource = server.add("/file", BODY)
    transfer = Transfer(server, tmp_path)
    transfer.part.write_bytes(BODY[:123_456])
    assert transfer.run() == BODY
    assert resource.ranges_asked == ["bytes=123456-"]


def test_a_server_without_ranges_starts_again_and_it_is_said(server, tmp_path):
    server.add("/file", BODY, ranges=False)
    transfer = Transfer(server, tmp_path)
    transfer.part.write_bytes(b"x" * 123_456)
    assert transfer.run() == BODY
    assert transfer.notices == [
        "the server can't go on with file.bin at byte 123456, or it has another version; "
        "starting again"
    ]


def test_a_server_without_ranges_that_always_breaks_off_ends_it(server, tmp_path):
    resource = server.add("/file", BODY, ranges=False, cuts=[500_000] * 5)
    transfer = Transfer(server, tmp_path)
    with pytest.raises(TransferFailed, match="of file.bin broke off after 500000 bytes"):
        transfer.run()
    assert len(resource.requests) == 2


def test_an_attempt_that_brings_nothing_ends_it(server, tmp_path):
    server.add("/file", BODY, cuts=[400_000, 0, 0])
    transfer = Transfer(server, tmp_path)
    with pytest.raises(TransferFailed, match=r"400000 bytes .* the same command goes on"):
        transfer.run()
    assert transfer.part.read_bytes() == BODY[:400_000]


def test_a_part_of_another_version_is_not_continued(server, tmp_path):
    server.add("/file", b"old" * 300_000, cuts=[500_000, 0], etag='"1"')
    transfer = Transfer(server, tmp_path)
    with pytest.raises(TransferFailed, match="500000"):
        transfer.run()
    server.add("/file", BODY, etag='"2"')
    assert transfer.run() == BODY
    assert "or it has another version; starting again" in transfer.notices[-1]


@pytest.mark.parametrize("etag", ['"1"', None])
def test_a_part_that_is_complete_is_not_fetched_again(server, tmp_path, etag):
    resource = server.add("/file", BODY, etag=etag)
    transfer = Transfer(server, tmp_path)
    assert transfer.run() == transfer.run() == BODY
    assert resource.ranges_asked == [None, f"bytes={len(BODY)}-"]
    known = Transfer(server, tmp_path, size=len(BODY))
    known.run()
    assert len(resource.requests) == 2  # not even asked


def test_a_part_that_is_too_long_is_fetched_anew(server, tmp_path):
    server.add("/file", BODY)
    transfer = Transfer(server, tmp_path, size=len(BODY))
    transfer.part.write_bytes(b"x" * (len(BODY) + 5))
    assert transfer.run() == BODY
    assert transfer.notices == ["file.bin has changed there; starting again"]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (503, "503 Service Un")])
def test_a_refusal_is_named(server, tmp_path, status, words):
    server.add("/file", BODY, status=status)
    with pytest.raises(TransferFailed, match=rf"127.0.0.1:\d+ answers {words}.* for http://127"):
        Transfer(server, tmp_path).run()


def test_no_network(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = types.SimpleNamespace(address=f"http://127.0.0.1:{closed.getsockname()[1]}")
        transfer = Transfer(nobody, tmp_path)
        with pytest.raises(TransferFailed, match=r"127.0.0.1:\d+ can't be reached \(.*refused"):
            transfer.run()


def test_another_file_in_its_place_is_refused_at_once(server, tmp_path):
    server.add("/file", b"<html>please log in</html>")
    transfer = Transfer(server, tmp_path, size=len(BODY))
    with pytest.raises(TransferFailed, match="has 26 bytes at http.*, but 1000003 are expected"):
        transfer.run()
    assert not transfer.part.exists()


def test_a_disk_that_is_too_small_is_seen_before(server, tmp_path):
    server.add("/file", BODY, claimed=10**18)
    with pytest.raises(TransferFailed, match=r"needs 1000000000000 MB more, but \d+ MB are free"):
        Transfer(server, tmp_path).run()


def test_a_directory_that_is_gone(server, tmp_path):
    server.add("/file", BODY)
    transfer = Transfer(server, tmp_path)
    transfer.part.mkdir()
    with pytest.raises(TransferFailed, match=f"{tmp_path} can't be written: Is a directory"):
        transfer.run()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"size": 3, "sha256": ABC_SHA256}, None),
        ({"size": 3, "md5": ABC_MD5}, None),
        ({"size": 4, "md5": ABC_MD5}, "file.bin has 3 bytes, but 4 are expected"),
        ({"size": 3, "md5": ABC_MD5[::-1]}, f"MD5 of file.bin is {ABC_MD5}, but {ABC_MD5[::-1]}"),
        ({"size": 3, "sha256": ABC_SHA256[::-1]}, f"SHA256 of file.bin is {ABC_SHA256}"),
    ],
)
def test_size_and_checksum(server, tmp_path, facts, words):
    transfer = Transfer(server, tmp_path, **facts)
    transfer.part.write_bytes(b"abc")
    transfer.part.with_name("file.bin.part.etag").write_text('"1"')
    seen = []
    if words is None:
        check(transfer.file, transfer.part, on_progress=lambda *step: seen.append(step))
        assert seen == [(0, 0, "MB of file.bin checked")]
        return
    with pytest.raises(TransferFailed, match=f"{words}.*It was deleted; try again"):
        check(transfer.file, transfer.part, on_progress=lambda *step: seen.append(step))
    assert list(tmp_path.iterdir()) == []
