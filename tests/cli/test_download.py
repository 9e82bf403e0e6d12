"""download: what a user reads, the exit status, and what an interrupt leaves."""

import functools
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml
from click.testing import CliRunner

from tests.helpers.download_server import serving
from vipann_tf.cli import main
from vipann_tf.downloads import read_table

BODY = bytes(range(256)) * 8000  # 2.048 MB


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("VIPANN_TF_CACHE", str(tmp_path / "cache"))
    with serving() as running:
        yield running


@pytest.fixture
def table(server, tmp_path):
    """A table of two entries: a file, and one that is given by hand."""
    file = {
        "name": "a.bin",
        "url": f"{server.address}/a.bin",
        "size": len(BODY),
        "sha256": hashlib.sha256(BODY).hexdigest(),
    }
    facts = {"title": "a set", "page": "https://host.org/a", "licence": "CC0"}
    entries = {
        "mine": {**facts, "files": [file], "then": "vipann-tf prepare folder {path} data/mine"},
        "lists": {
            **facts,
            "files": [{**file, "unverified": "address"}],
            "how": "The audio is not published.",
        },
        "asked": {**facts, "how": "Its authors send it on request."},
    }
    path = tmp_path / "table.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False))
    return str(path)


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["download", *arguments])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


def test_source_and_licence_are_shown_before_and_the_next_command_after(server, table, tmp_path):
    resource = server.add("/a.bin", BODY)
    place = tmp_path / "my sounds"
    shown = run("mine", "--table", table, "--out", str(place))
    assert shown.stdout.splitlines() == [
        "mine: a set",
        "source   https://host.org/a",
        "licence  CC0",
        f"file     a.bin, 2 MB, {server.address}/a.bin",
        f"to       {place}",
        f"Wrote {place}",
        f"Next: vipann-tf prepare folder '{place}' data/mine",
    ]
    assert (place / "a.bin").read_bytes() == BODY
    again = run("mine", "--table", table, "--out", str(place))
    assert again.stdout.startswith(f"{place} holds mine already; --overwrite fetches it again\n")
    assert len(resource.requests) == 1
    run("mine", "--table", table, "--out", str(place), "--overwrite")
    assert len(resource.requests) == 2


def test_the_cache_is_the_default_and_what_is_not_verified_is_said(server, table, tmp_path):
    server.add("/a.bin", BODY)
    shown = run("lists", "--table", table).stdout
    assert (tmp_path / "cache" / "lists" / "a.bin").read_bytes() == BODY
    assert "unverified: whether this address works is not known" in shown
    assert shown.endswith("The audio is not published.\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"status": 404}, "127.0.0.1:PORT answers 404 Not Found for "),
        ({"body": BODY[::-1]}, "the SHA256 of a.bin is "),
        ({"body": BODY[:-1]}, "a.bin has 2047999 bytes at "),
        ({"cuts": [0]}, "the transfer of a.bin broke off after 0 bytes"),
    ],
)
def test_a_failure_is_one_line_and_status_1(server, table, tmp_path, options, words):
    server.add("/a.bin", **{"body": BODY, **options})
    result = run("mine", "--table", table, status=1)
    (line,) = result.stderr.splitlines()
    port = str(server.server_address[1])
    assert line.replace(port, "PORT").startswith(f"Error: {words}"), line
    assert line.endswith("The authors' page: https://host.org/a")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_given_by_hand_is_an_error_that_says_how(table):
    result = run("asked", "--table", table, status=1)
    assert result.stderr == (
        "Error: asked can't be downloaded directly. Its authors send it on request."
        " (https://host.org/a)\n"
    )


def test_the_list(table):
    lines = run("--list", "--table", table).output.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["name", "MB"], ["mine", "2"], ["lists", "2"], ["asked", "-"],
    ]  # fmt: skip
    assert run(status=1).stderr.startswith("Error: download needs a name: esc50, urbansound8k, ")


def test_next_commands_are_commands():
    for name, entry in read_table().items():
        assert entry.then or entry.how, name
        if entry.then:
            _, command, *arguments = shlex.split(entry.then.format(path="/a/b"))
            main.commands[command].make_context(command, arguments)


def start(table, code="from vipann_tf.cli import run; run()"):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, "download", "mine", "--table", table],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # A shell ignores interrupts on behalf of what it starts in the background, such as a suite.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def parts(tmp_path):
    return list((tmp_path / "cache").glob(".mine.preparing-*/_work/a.bin.part"))


def test_an_interrupt_leaves_a_part_that_is_resumed(server, table, tmp_path):
    resource = server.add("/a.bin", BODY, cuts=[1_000_000], stall=threading.Event())
    process = start(table)
    deadline = time.monotonic() + 60
    while not (parts(tmp_path) and parts(tmp_path)[0].stat().st_size == 1_000_000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    resource.stall.set()
    assert process.returncode == 130
    assert errors.startswith("Interrupted") and errors.count("\n") == 1
    assert parts(tmp_path)[0].read_bytes() == BODY[:1_000_000]

    run("mine", "--table", table)
    assert (tmp_path / "cache" / "mine" / "a.bin").read_bytes() == BODY
    assert resource.ranges_asked == [None, "bytes=1000000-"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine"]


def test_a_full_disk_is_one_line_and_what_fits_is_kept(server, table, tmp_path):
    """A limit on the size of files stands for the end of the disk."""
    resource = pytest.importorskip("resource")
    server.add("/a.bin", BODY)
    limit = f"({resource.RLIMIT_FSIZE}, (1_000_000, 1_000_000))"
    process = start(
        table, f"import resource; resource.setrlimit{limit}; from vipann_tf.cli import run; run()"
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert " can't be written: File too large; make room or choose another directory" in line
    assert 0 < parts(tmp_path)[0].stat().st_size <= 1_000_000
    assert BODY.startswith(parts(tmp_path)[0].read_bytes())


def test_no_tensorflow(table):
    """Nor other libraries that are slow to import."""
    code = (
        "import sys; from vipann_tf.cli import main\n"
        "main(['download', '--list'], standalone_mode=False)\n"
        "assert not {'tensorflow', 'scipy', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
