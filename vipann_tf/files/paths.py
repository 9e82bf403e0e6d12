"""The type of a path argument."""

import os

__all__ = ["StrPath"]

StrPath = str | os.PathLike[str]
