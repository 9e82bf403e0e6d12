"""Files that travel with the package: `recipes/` and `saved_models/` of the repository.

In a clone they stay where they are, and a wheel holds them in `vipann_tf/shipped` (setup.cfg). The
package may be in a zip file.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["find_shipped", "local_copy", "shipped_files", "shipped_folder"]

# Folder in a zip file -> its copy.
_unpacked: dict[str, Path] = {}


def shipped_folder(name: str) -> Traversable:
    """Return a folder that travels with the package: "recipes" or "saved_models"."""
    package = resources.files("vipann_tf")
    folder = package / "shipped" / name
    # The package itself is a folder of the clone.
    return folder if folder.is_dir() else Path(str(package)).parent / name


def shipped_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Yield name ("transfer/quickstart.yaml") and file of all files below a folder, sorted."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from shipped_files(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def find_shipped(folder: str, name: str) -> Traversable | None:
    """Find a file or folder by its name in a shipped folder, with or without the folder's name."""
    parts = list(Path(name).parts)
    if parts[:1] == [folder]:
        del parts[0]
    if not parts or Path(name).is_absolute() or ".." in parts:
        return None
    found = shipped_folder(folder)
    for part in parts:
        found = found / part
    return found if found.is_file() or found.is_dir() else None


def local_copy(folder: Traversable) -> Path:
    """Return a folder as a path: unpacked, until the process ends, if it is in a zip file."""
    if isinstance(folder, Path):
        return folder
    key = str(folder)
    if key not in _unpacked:
        root = Path(tempfile.mkdtemp(prefix="vipann-tf-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        for name, source in shipped_files(folder):
            path = root / folder.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes())
        _unpacked[key] = root / folder.name
    return _unpacked[key]
