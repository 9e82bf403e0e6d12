"""The file of the continuous integration: it names what exists. It cannot be run here."""

import configparser
import re

import yaml

from tests.helpers.paths import ROOT

FILE = ROOT / ".github" / "workflows" / "ci.yml"


def commands() -> str:
    jobs = yaml.safe_load(FILE.read_text(encoding="utf-8"))["jobs"]
    return "\n".join(step["run"] for job in jobs.values() for step in job["steps"] if "run" in step)


def test_tests_and_targets_exist():
    tests = re.findall(r"tests/\S*", commands())
    assert len(tests) > 10 and all((ROOT / test).exists() for test in tests)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"make (\S+)", commands())
    assert targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_first_and_last_python_on_three_systems():
    matrix = yaml.safe_load(FILE.read_text(encoding="utf-8"))["jobs"]["everywhere"]["strategy"]
    systems = [name.partition("-")[0] for name in matrix["matrix"]["os"]]
    assert systems == ["ubuntu", "windows", "macos"]
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    versions = re.findall(r":: (3\.\d+)$", settings["metadata"]["classifiers"], re.M)
    assert matrix["matrix"]["python"] == [versions[0], versions[-1]]
