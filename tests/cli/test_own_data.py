"""prepare on one's own recordings: what is printed, and where it is written."""

import os
import pathlib

import pytest

from tests.cli.test_cli import run
from tests.helpers.dataset_layouts import audio, text
from vipann_tf.cli.command import _expanded


@pytest.fixture
def home(tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize(
    "argument, expanded",
    [
        ("~", "{home}"),
        ("~/out", "{home}/out"),
        ("--out=~/out", "{home}/out"),
        ("--out=~", "{home}"),
        ("./~", "./~"),
        ("a~/b", "a~/b"),
        ("~nobody_of_this_name/x", "~nobody_of_this_name/x"),
        ("training.seed=~", "training.seed=~"),
        ("--seconds=1", "--seconds=1"),
    ],
)
def test_home_directories(home, argument, expanded):
    option = "--out=" if argument.startswith("--out") else ""
    expected = option + expanded.format(home=home)
    assert pathlib.PurePath(_expanded(argument)) == pathlib.PurePath(expected)


def test_quoted_home_directories_are_those_of_the_shell(home):
    for name in ("dog/a.wav", "cat/b.wav"):
        audio(home / "sounds" / name)
    shown = run("prepare", "folder", "~/sounds", "~/out", "--seconds", "0.5", "--workers", 1)
    assert (home / "out" / "dataset.json").is_file() and not os.path.exists("~")
    assert f"{os.path.join(home, 'out')}: dataset sounds" in shown.stdout.replace("/", os.sep)
    assert "2 labels, 2 clips" in run("info", "~/out").stdout


def test_a_dry_run_shows_notices(tmp_path):
    for name in ("dog/a.wav", "cat/b.wav"):
        audio(tmp_path / "in" / name)
    text(tmp_path / "in/dog/notes.txt", "x")
    text(tmp_path / "in/dog/a.raw", "x")
    shown = run("prepare", "folder", tmp_path / "in", tmp_path / "out", "--dry-run")
    assert "1 of 3 inputs would be rejected before decoding" in shown.stdout
    assert "not-audio: 1 .txt: files that are no sounds were left out" in shown.stderr


def test_columns_to_ignore(tmp_path):
    for name in ("a.wav", "b.wav"):
        audio(tmp_path / name)
    table = text(tmp_path / "my.csv", "filename;labels;site", "a.wav;dog;x", "b.wav;cat;y")
    command = ["prepare", "csv", table, tmp_path / "out", "--seconds", 0.5, "--workers", 1]
    refused = run(*command, status=1)
    assert "column 'site' is unknown" in refused.stderr and not (tmp_path / "out").exists()
    made = run(*command, "--ignore-columns", "site")
    assert "table-format: read as a table separated by semicolons" in made.stderr
    assert "1 table-format" in made.stdout
