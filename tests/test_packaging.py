"""What is built holds all that a clone has, and works from a folder and from a zip file."""

import configparser
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers import unpacked
from tests.helpers.clone import copy_clone, tracked_files
from tests.helpers.paths import RECIPES, ROOT
from vipann_tf.downloads import read_table
from vipann_tf.saved_model import metadata
from vipann_tf.saved_model.metadata import read_model_info

pytestmark = pytest.mark.slow
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""
PROGRAM = Path(unpacked.__file__)


def build(kind: str, source: Path, out: Path) -> Path:
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(out)]
    built = subprocess.run(command, cwd=source, check=True, capture_output=True, encoding="utf-8")
    return out / built.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    copy_clone(folder / "clone")
    with tarfile.open(build("sdist", folder / "clone", folder)) as archive:
        archive.extractall(folder / "source")
    return next((folder / "source").iterdir())


@pytest.fixture(scope="module")
def wheel(source) -> Path:
    """The wheel that is built from the source distribution."""
    return build("wheel", source, source.parent)


@pytest.fixture(scope="module")
def installed(wheel) -> Path:
    """A folder that pip filled, without what the package requires."""
    target = wheel.parent / "target"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True)
    return target


@pytest.fixture(scope="module")
def zipped(installed) -> Path:
    file = installed.parent / "vipann_tf.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in (installed / "vipann_tf").rglob("*"):
            archive.write(path, path.relative_to(installed))
    return file


def run(place: Path, *command: str) -> str:
    """Run Python with the package from a place, outside of the clone."""
    environment = {**os.environ, "PYTHONPATH": str(place), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONSAFEPATH"] = "1"
    done = subprocess.run(
        [sys.executable, *command],
        cwd=place.parent,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_source_has_all_that_the_clone_has(source):
    missing = [name for name in tracked_files() if not (source / name).is_file()]
    assert not missing


def test_every_package_and_shipped_model_is_named():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    named = settings["options"]["packages"].split()
    folders = {file.parent.relative_to(ROOT) for file in (ROOT / "vipann_tf").rglob("*.py")}
    shipped = ["vipann_tf.shipped.recipes", "vipann_tf.shipped.saved_models"]
    assert sorted(named) == sorted([*(".".join(folder.parts) for folder in folders), *shipped])
    tracked = {Path(name).parts[1] for name in tracked_files() if name.startswith("saved_models/")}
    data = settings["options.package_data"]["vipann_tf.shipped.saved_models"].split(", ")
    assert sorted(data) == sorted({"README.md", *(f"{x}/**/*" for x in tracked - {"README.md"})})


def test_the_image_gets_all_that_the_wheel_has(wheel, tmp_path):
    """What the Dockerfile's list of allowed files lets in makes the same wheel."""
    rules = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    allowed = {rule[1:] for rule in rules if rule[0] == "!"}
    context = tmp_path / "context"
    for name in tracked_files():
        if allowed & {name, Path(name).parts[0]}:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, context / name)
    assert not (context / "tests").exists()
    made = zipfile.ZipFile(build("wheel", context, tmp_path)).namelist()
    assert sorted(made) == sorted(zipfile.ZipFile(wheel).namelist())


def test_the_description_has_links_that_lead_somewhere(wheel):
    """An index shows no other file than the description."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        shown = archive.read(name).decode().partition("\n\n")[2]
    links = r"\[[^\]]+\]\(([^)]+)\)"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    to_files = [link for link in re.findall(links, readme) if "://" not in link]
    assert "docs/idea.svg" in to_files and all((ROOT / link).is_file() for link in to_files)
    assert re.findall(links, shown) == [x for x in re.findall(links, readme) if "://" in x]
    assert "\nOne sound goes to several networks that are drawn from a posterior." in shown

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("setuptools.setup", lambda **_: None)
        description = runpy.run_path("setup.py")["description"]
    address = "https://forge.example/raw/main/"
    assert re.findall(links, description(readme, address)) == [
        link if "://" in link else address + link for link in re.findall(links, readme)
    ]


@pytest.mark.parametrize("place", ["installed", "zipped"])
def test_recipes_and_models_of_an_installation(place, request):
    """They are those of the clone, and come from the installation."""
    path = request.getfixturevalue(place)
    found = json.loads(run(path, str(PROGRAM)))
    assert found.pop("package").startswith(str(path))
    here = json.loads(json.dumps(unpacked.contents()))
    assert here.pop("package").startswith(str(ROOT))
    assert found == here
    names = {file.relative_to(RECIPES).as_posix() for file in RECIPES.rglob("*.yaml")}
    assert found["recipes"].keys() == names and len(names) > 20
    assert found["models"].keys() >= {"esc10-drop", "everyday-sounds"}
    assert "saved_model.pb" in found["models"]["esc10-drop"]["files"]


@pytest.mark.parametrize("place", ["installed", "zipped"])
def test_the_table_of_addresses_travels(place, request):
    shown = run(request.getfixturevalue(place), "-m", "vipann_tf.cli", "download", "--list")
    rows = [line for line in shown.splitlines()[1:] if line[0] != " "]
    assert [row.split()[0] for row in rows] == list(read_table())


def read_labels() -> list[str]:
    file = ROOT / "saved_models" / "esc10-drop" / "1" / "assets" / "labels.csv"
    return [line.split(",")[1] for line in file.read_text(encoding="utf-8").splitlines()[1:]]


def test_a_shipped_model_answers(installed, tmp_path):
    clip = str(tmp_path / "clip.wav")
    run(installed, "-m", "vipann_tf.cli", "synthesize", clip, "--seconds", "1")
    out = run(installed, "-m", "vipann_tf.cli", "predict", "esc10-drop", clip, "--top", "10")
    assert all(f"  {label}\n" in out for label in read_labels())


def test_what_users_have_wins(tmp_path, monkeypatch):
    """A directory of a shipped model's name is taken, even if no model is in it."""
    monkeypatch.chdir(tmp_path)
    assert read_model_info("esc10-drop") == read_model_info("saved_models/esc10-drop/1")
    (tmp_path / "esc10-drop").mkdir()
    with pytest.raises(ValueError, match="no model at esc10-drop: it has neither"):
        read_model_info("esc10-drop")
    assert read_labels() == metadata.read_labels("saved_models/esc10-drop")


@pytest.mark.parametrize("name", ["nowhere", "saved_models", "../saved_models/esc10-drop", "/x"])
def test_models_that_are_not_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no such directory.* shipped models are .*esc10-drop"):
        read_model_info(name)
