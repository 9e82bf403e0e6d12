"""What a fresh clone has."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


def tracked_files() -> list[str]:
    """Names of the files that git keeps, or will when they are added."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the clone, whose list of files is git's")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def copy_clone(folder: Path) -> Path:
    """Copies these files."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def not_ignored(folder: Path) -> list[str]:
    """Names of the files in a copy that a clone has not and that .gitignore does not name."""
    git = ["git", "-c", "core.excludesFile=", "-C", str(folder)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    command = [*git, "ls-files", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True).stdout.decode().splitlines()
    return sorted(set(names) - set(tracked_files()))
