"""TensorFlow's start-up notices do not hide a command's own output."""

import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

# A package of that name, since the real one says what it says on another machine only.
FAKE = '''
import os, sys
NOTICES = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795637378.098693   21898 port.cc:153] oneDNN custom operations are on.
"""
os.write(2, NOTICES.encode())
print("by Python", file=sys.stderr)
os.write(2, b"F0000 00:00:1795637378.098693 1 cpu.cc:1] compiled to use AVX\\n")
if "BREAK" in os.environ:
    raise ImportError("broken")
'''
PROGRAM = """
import sys
from vipann_tf.cli.quiet_import import quieten_tensorflow
quieten_tensorflow(); quieten_tensorflow()
import tensorflow, tensorflow.part
assert tensorflow.__spec__.loader.is_package("tensorflow")
print("after", file=sys.stderr)
"""


def run(arguments, path="", **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([path, *sys.path]), **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture
def fake(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(FAKE)
    (tmp_path / "tensorflow" / "part.py").write_text("")
    return str(tmp_path)


def test_notices_alone_are_held_back(fake):
    found = run(["-c", PROGRAM], fake, TF_CPP_MIN_LOG_LEVEL="3")
    lines = found.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["by", "F0000", "after"], found.stderr


def test_a_broken_import_says_all_that_it_said(fake):
    found = run(["-c", PROGRAM], fake, TF_CPP_MIN_LOG_LEVEL="3", BREAK="1")
    assert found.returncode == 1
    assert "compiled to use AVX" in found.stderr and "ImportError: broken" in found.stderr


def test_who_asks_for_them_gets_them(fake):
    found = run(["-c", PROGRAM], fake, TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in found.stderr and "absl" in found.stderr


@pytest.mark.slow
def test_a_command_prints_its_answer_alone():
    command = ["-m", "vipann_tf.cli", "predict", "saved_models/esc10-drop", "--top", "1"]
    # `make test` asks for warnings of encodings, which libraries give.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNDEFAULTENCODING": ""}
    found = run([*command, "examples/sounds/dog.ogg"], **quiet)
    assert found.returncode == 0 and found.stderr == ""
    assert found.stdout.startswith("examples/sounds/dog.ogg (5.0 s)\n  0.99")
