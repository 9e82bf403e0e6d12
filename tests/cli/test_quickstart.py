"""The steps of the quickstart are commands, and the first one that fails ends it."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vipann_tf.cli import main, quickstart
from vipann_tf.errors import UserError
from vipann_tf.recipes import find_recipe


def test_steps_are_commands():
    steps = quickstart.commands(Path("out"))
    assert [arguments[0] for _, arguments in steps] == [
        "prepare", "prepare", "prepare", "pretrain", "transfer",
        "evaluate", "synthesize", "predict",
    ]  # fmt: skip
    for _, (name, *arguments) in steps:
        command = main.get_command(None, name)
        command.make_context(name, list(arguments))


def test_recipes_are_shipped():
    for _, arguments in quickstart.commands(Path("out")):
        for argument in arguments:
            if argument.startswith(("pretrain/", "transfer/")):
                assert find_recipe(argument).is_file()


def test_the_first_failure_ends_it(tmp_path):
    """The first step cannot make a directory below a file."""
    (tmp_path / "file").write_text("taken")
    result = CliRunner().invoke(main, ["quickstart", "--out", str(tmp_path / "file")])
    assert result.exit_code == 1
    assert result.output.count("$ vipann-tf") == 1
    assert "Error: " in result.output and "ended at this step, with status 1" in result.output
    assert "Made:" not in result.output


def test_an_interrupt_ends_it(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "vipann_tf.cli", "quickstart", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # A shell ignores interrupts on behalf of what it starts in the background, such as a suite.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not process.stdout.readline().startswith("$ vipann-tf prepare"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Interrupted" in output and "Made:" not in output
    assert output.count("$ vipann-tf") == 0


NUM_STEPS = len(quickstart.commands(Path("out")))


@pytest.mark.parametrize("how", ["fails", "is interrupted"])
@pytest.mark.parametrize("end", range(NUM_STEPS))
def test_every_step_can_end_it(end, how, monkeypatch):
    """Steps before it do nothing; the step itself gets a real signal, or fails as commands do."""
    calls = []

    def step(**_):
        calls.append(how)
        if len(calls) <= end:
            return
        if how == "fails":
            raise UserError("no room")
        # A shell ignores interrupts on behalf of what it starts in the background, such as a suite.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    for name in {arguments[0] for _, arguments in quickstart.commands(Path("out"))}:
        monkeypatch.setattr(main.get_command(None, name), "callback", step)
    result = CliRunner().invoke(main, ["quickstart", "--out", "out"])
    assert result.exit_code == {"fails": 1, "is interrupted": 130}[how]
    assert len(calls) == result.output.count("$ vipann-tf") == end + 1
    assert "Made:" not in result.output
    assert {"fails": "Error: no room", "is interrupted": "Interrupted"}[how] in result.output


def test_an_interrupt_between_the_steps_ends_it(tmp_path, monkeypatch):
    """A step that has not begun yet is interrupted while click reads its arguments."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.commands["prepare"], "make_context", interrupted)
    result = CliRunner().invoke(main, ["quickstart", "--out", str(tmp_path / "out")])
    assert result.exit_code == 130 and "Interrupted" in result.output
    assert "Made" not in result.output and "Aborted" not in result.output
