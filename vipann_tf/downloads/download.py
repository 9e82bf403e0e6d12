"""A data set or checkpoint by its name: fetched, checked and unpacked, completely or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs

from vipann_tf.downloads.table import Entry
from vipann_tf.downloads.transfer import OnNotice, OnProgress, TransferFailed, check, fetch
from vipann_tf.downloads.unpack import unpack
from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.paths import StrPath
from vipann_tf.files.staging import WORK, resumable_directory

__all__ = ["CACHE_VARIABLE", "default_directory", "download", "is_complete"]

# This environment variable replaces the cache directory of the system.
CACHE_VARIABLE = "VIPANN_TF_CACHE"
# In each finished directory: what it is, where it came from, and its licence.
MARK = "download.json"


def default_directory(name: str) -> Path:
    """Return where an entry goes if no directory is given: a folder of the user's cache."""
    root = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir(
        "vipann-tf", appauthor=False
    )
    return Path(root) / name


def is_complete(directory: StrPath, name: str) -> bool:
    """Return whether a directory holds this entry, completely.

    Raises:
      UserError: It holds another entry.
    """
    mark = Path(directory) / MARK
    try:
        held = json.loads(mark.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if held != name:
        raise UserError(f"{directory} holds {held}, not {name}; choose another directory")
    return True


def download(
    name: str,
    entry: Entry,
    directory: StrPath,
    *,
    overwrite: bool,
    on_progress: OnProgress,
    on_notice: OnNotice,
) -> None:
    """Fetch all files of an entry into a directory, which appears when it is complete.

    A transfer that was interrupted goes on in the next call. Archives are unpacked and dropped.

    Args:
      name: Name of the entry.
      entry: What to fetch.
      directory: The directory to make, on this machine.
      overwrite: Whether to fetch again what `directory` holds.
      on_progress: Called with (done, total, what).
      on_notice: Called with a sentence if a transfer has to start again.

    Raises:
      UserError: The entry has no address, the directory can't be made, or a file can't be fetched,
        is not the expected one or can't be unpacked.
    """
    if not entry.files:
        raise UserError(f"{name} can't be downloaded directly. {entry.how} ({entry.page})")
    if storage.is_remote(directory):
        raise UserError(f"{directory} is not on this machine; choose a local directory")
    try:
        with resumable_directory(directory, mark=MARK, overwrite=overwrite) as stage:
            try:
                _fill(Path(stage), name, entry, on_progress, on_notice)
            except TransferFailed as error:
                if os.listdir(Path(stage) / WORK):
                    raise  # a UserError would delete what has arrived
                raise _explained(error, entry) from error
    except TransferFailed as error:
        raise _explained(error, entry) from error


def _explained(error: TransferFailed, entry: Entry) -> UserError:
    return UserError(f"{error}. The authors' page: {entry.page}")


def _fill(
    stage: Path, name: str, entry: Entry, on_progress: OnProgress, on_notice: OnNotice
) -> None:
    """Fetch and unpack in the work folder, which survives an interrupt; move all at the end."""
    work = stage / WORK
    contents: list[tuple[Path, Path]] = []
    for file in entry.files:
        path = work / file.name
        if not path.exists():  # otherwise it was fetched and checked before an interrupt
            part = work / f"{file.name}.part"
            fetch(file, part, on_progress=on_progress, on_notice=on_notice)
            check(file, part, on_progress=on_progress)
            os.replace(part, path)
        if file.unpack is None:
            contents.append((path, stage / file.name))
            continue
        content = unpack(path, work / f"{file.name}.unpacked", on_progress=on_progress)
        if file.unpack == ".":
            contents += [(inside, stage / inside.name) for inside in content.iterdir()]
        else:
            contents.append((content, stage / file.unpack))
    for place, final in contents:
        os.replace(place, final)
    source = {"name": name, **entry.model_dump(mode="json", exclude_none=True)}
    (stage / MARK).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
