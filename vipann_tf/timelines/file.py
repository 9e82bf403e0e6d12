"""The file of a timeline's picture: a PNG, or a page with its sound."""

from __future__ import annotations

import os

from vipann_tf.audio.decoding import Sound
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.timeline import Window
from vipann_tf.timelines import figure, page
from vipann_tf.timelines.picture import Heard, PictureBuilder

__all__ = ["TimelineFile", "check_place"]

_COLUMNS = {".png": figure.COLUMNS, ".html": page.COLUMNS}


def check_place(path: StrPath, argument: str) -> None:
    """Check, before hours of listening, that a picture can be written.

    Args:
      path: The file.
      argument: What it is called where it was given.

    Raises:
      UserError: It can't, or its name does not say what kind of picture it is.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path) or "."
    if _suffix(path) not in _COLUMNS:
        raise UserError(
            f"{argument} is {path!r}; let its name end in .png for a picture, or in .html for a"
            " page with the sound"
        )
    if not os.path.isdir(folder):
        raise UserError(f"{argument} is {path!r}, but there is no directory {folder!r}; make it")
    if not os.access(folder, os.W_OK) or os.path.isdir(path):
        raise UserError(f"{argument} is {path!r}, which can't be written; choose another place")


class TimelineFile:
    """A picture that is drawn once all windows were added; memory does not grow with them.

    Args:
      path: File to write, which ends in .png or .html.
      heard: The recording.
    """

    def __init__(self, path: StrPath, heard: Heard):
        self._path, self._kind = path, _suffix(path)
        self._builder = PictureBuilder(heard, _COLUMNS[self._kind])

    def add(self, window: Window) -> None:
        """Add the next window."""
        self._builder.add(window)

    def write(self, sound: Sound) -> int:
        """Read the sound once more for the spectrogram and the player, and write the file.

        Args:
          sound: The recording.

        Returns:
          Number of detections.

        Raises:
          UserError: There was no window.
          DecodeError: The recording can't be read.
        """
        picture = self._builder.picture(sound)
        if self._kind == ".png":
            figure.write_png(picture, self._path)
        else:
            page.write_page(picture, sound, self._path)
        return len(picture.detections)


def _suffix(path: StrPath) -> str:
    return os.path.splitext(os.fspath(path))[1].lower()
