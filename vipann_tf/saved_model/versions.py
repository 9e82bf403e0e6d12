"""Version folders of a model directory; TensorFlow Serving loads the highest number."""

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
    """Raise a `UserError` if there is a finished model and `overwrite` is false."""
    versions = finished_versions(directory)
    if versions and not overwrite:
        raise UserError(f"{directory} already has a model; choose another --out, or --overwrite")
    _check_directory(directory)


def next_version(directory: StrPath, version: int | None = None) -> int:
    """Return the number of the next version.

    Numbers only increase: a server that has loaded 3 ignores a new 2 and another 3.

    Args:
      directory: Model directory, which need not exist.
      version: The requested number; `None` is one more than the highest.

    Raises:
      UserError: The requested number is not above the existing ones.
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
    """Yield a directory to fill, which becomes the version if the block succeeds.

    Until then TensorFlow Serving, which looks for numbers, does not see it. If the block fails, the
    directory is removed.
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
                f"another export wrote {path / str(version)} at the same time; run this one again "
                "for the next version"
            ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def check_local(directory: StrPath) -> None:
    """Raise a `UserError` if a model directory is in an object store."""
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
