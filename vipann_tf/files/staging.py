"""Directories that are complete or absent: written under another name, renamed at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator

from vipann_tf.errors import UserError
from vipann_tf.files import storage
from vipann_tf.files.locking import locked
from vipann_tf.files.paths import StrPath

__all__ = ["WORK", "resumable_directory", "staged_directory"]

# This folder of the staging directory holds files that only the run needs.
WORK = "_work"


@contextlib.contextmanager
def staged_directory(out: StrPath, *, mark: str, overwrite: bool) -> Iterator[str]:
    """Yield a temporary sibling of `out`, which becomes `out` when the block ends without error.

    The temporary name is new in every run, so that a worker that outlives a killed run cannot write
    into the next one's. The next run deletes the directory of a killed run. A lock file beside
    `out`, released with the process, distinguishes it from a run that is alive.

    Args:
      out: The directory to make.
      mark: Name of a file in every directory of this kind. `overwrite` deletes no other.
      overwrite: Replace an existing `out`.

    Yields:
      The path of the staging directory; its empty folder `WORK` is dropped at the end.

    Raises:
      UserError: `out` exists and may not be replaced, can't be written, or another run is making
        it.
    """
    target = _Target(out, mark, overwrite)
    target.check()
    with target.staging(keep=None) as stage:
        try:
            yield stage
            target.fill(stage)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


@contextlib.contextmanager
def resumable_directory(out: StrPath, *, mark: str, overwrite: bool) -> Iterator[str]:
    """Yield a directory as `staged_directory` does, with the files of an interrupted run.

    The block must decide which of the files are still valid. Only a
    `UserError` deletes it. In an object store nothing can be renamed: there the directory is `out`
    itself, and it is complete once it holds `mark`, which the block writes last.

    Arguments, result and errors are those of `staged_directory`.
    """
    if storage.is_remote(out):
        with _remote_directory(str(out), mark, overwrite) as stage:
            yield stage
        return
    target = _Target(out, mark, overwrite)
    target.check()
    with target.staging(keep=WORK) as stage:
        try:
            yield stage
            target.fill(stage)
        except UserError:
            shutil.rmtree(stage, ignore_errors=True)
            raise


@contextlib.contextmanager
def _remote_directory(out: str, mark: str, overwrite: bool) -> Iterator[str]:
    names = storage.list_names(out)
    if mark in names:
        _refuse_unless(overwrite, out)
        # Incomplete from here on.
        storage.remove(storage.join(out, mark))
        storage.remove(out)
    elif names and WORK not in names:
        raise UserError(f"{out} holds {names[0]} and no {mark}; choose an empty or new place")
    yield out
    storage.remove(storage.join(out, WORK))


def _refuse_unless(overwrite: bool, out: str) -> None:
    if not overwrite:
        raise UserError(f"{out} exists; choose another output directory or add --overwrite")


class _Target:
    """The path where a local directory will appear."""

    def __init__(self, out: StrPath, mark: str, overwrite: bool):
        self.out = os.path.abspath(os.fspath(out))
        self._mark = mark
        self._overwrite = overwrite
        self._parent, name = os.path.split(self.out)
        self._lock = f".{name}.lock"
        self._prefix = f".{name}.preparing-"

    def check(self) -> None:
        """Raise a `UserError` if `out` is not a directory of this kind."""
        if not os.path.lexists(self.out) or (os.path.isdir(self.out) and not os.listdir(self.out)):
            return
        if not os.path.isfile(os.path.join(self.out, self._mark)):
            raise UserError(
                f"{self.out} exists and is not a directory that this command made (no"
                f" {self._mark}); choose another"
            )
        _refuse_unless(self._overwrite, self.out)

    @contextlib.contextmanager
    def staging(self, keep: str | None) -> Iterator[str]:
        """Yield a staging directory, locked: a dead run's, if one with an entry `keep` exists."""
        stage = self._new_name()
        with contextlib.ExitStack() as lock:
            try:
                os.makedirs(self._parent, exist_ok=True)
                lock.enter_context(locked(self._parent, name=self._lock))
                for stale in self._stale():
                    if keep and not os.path.exists(stage) and keep in os.listdir(stale):
                        # A worker that outlived its run can't reach it by its new name.
                        os.rename(stale, stage)
                    else:
                        shutil.rmtree(stale, ignore_errors=True)
                os.makedirs(os.path.join(stage, WORK), exist_ok=True)
            except BlockingIOError as error:
                raise UserError(
                    f"another run is making {self.out} right now; wait for it or choose another"
                    " directory"
                ) from error
            except OSError as error:
                raise UserError(
                    f"can't write beside {self.out}: {error.strerror}; choose another place"
                ) from error
            yield stage

    def fill(self, stage: str) -> None:
        """Rename the finished staging directory to `out`."""
        shutil.rmtree(os.path.join(stage, WORK))
        self.check()
        if not os.path.lexists(self.out):
            os.rename(stage, self.out)
            return
        # Killed between the two renames, `out` is absent and the next run deletes the old one.
        old = self._new_name()
        os.rename(self.out, old)
        os.rename(stage, self.out)
        shutil.rmtree(old, ignore_errors=True)

    def _new_name(self) -> str:
        """Return a new path beside `out`."""
        return os.path.join(self._parent, self._prefix + secrets.token_hex(4))

    def _stale(self) -> list[str]:
        """List the directories that dead runs left."""
        names = sorted(name for name in os.listdir(self._parent) if name.startswith(self._prefix))
        paths = [os.path.join(self._parent, name) for name in names]
        return [path for path in paths if os.path.isdir(path)]
