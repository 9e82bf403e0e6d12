"""Version folders of a model directory, of which TensorFlow Serving loads the highest number."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.files.storage import is_remote


def finished_versions(directory: StrPath) -> list[Path]:
    """Return the version folders of a model directory, oldest first."""
    path = Path(directory)
    if not path.is_dir():
        return []
    return sorted(
        (child for child in path.iterdir() if child.is_dir() and child.name.isdecimal()),
        key=lambda child: int(child.name),
    )


def check_vacant(directory: StrPath, *, overwrite: bool) -> None:
    """Raise a `UserError` if a finished model is in the way."""
    versions = finished_versions(directory)
    if versions and not overwrite:
        raise UserError(f"{directory} holds a model already; choose another --out, or --overwrite")
    _check_directory(directory)


def next_version(directory: StrPath, version: int | None = None) -> int:
    """Return the number of the next version.

    A number is never used twice, and never goes back: a server that has loaded 3 does not look at a
    new 2, nor at another 3.

    Args:
      directory: Model directory, which need not exist.
      version: The number wanted; `None` is one more than the highest.

    Raises:
      UserError: The number wanted is not above those that are there.
    """
    _check_directory(directory)
    versions = finished_versions(directory)
    highest = int(versions[-1].name) if versions else 0
    if version is None:
        return highest + 1
    if version <= highest:
        raise UserError(
            f"version {version} is not above {highest}, the highest version in {directory}; "
            f"versions only increase: use {highest + 1} or more"
        )
    return version


@contextmanager
def staged_version(directory: StrPath, version: int) -> Iterator[Path]:
    """Give a directory to fill, which becomes the version when the block ends well.

    Until then its name is hidden from TensorFlow Serving, which looks for numbers. If the block
    fails, nothing is left of it.
    """
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".export-", dir=path))
    try:
        content = stage / str(version)
        yield content
        try:
            os.rename(content, path / str(version))
        except OSError as error:
            if not (path / str(version)).exists():
                raise
            raise UserError(
                f"{path / str(version)} appeared while it was being written by another "
                "export; run this one again for the next version"
            ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_local(directory: StrPath) -> None:
    """Raise a `UserError` if a model directory would lie in an object store."""
    if is_remote(directory):
        raise UserError(
            f"{directory} is in an object store, where nothing can be renamed or locked; choose a "
            "local --out, and copy the finished model"
        )


def _check_directory(directory: StrPath) -> None:
    check_local(directory)
    path = Path(directory)
    if path.exists() and not path.is_dir():
        raise UserError(f"{directory} is a file; choose a directory for --out")
