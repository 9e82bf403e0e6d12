"""The table of addresses: what can be downloaded, from where, and how it is checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["Entry", "RemoteFile", "find", "read_table"]

# The package may be in a zip file.
SHIPPED = resources.files(__package__) / "addresses.yaml"
MB = 1_000_000

# A name of a file or folder, never a path.
Name = Annotated[str, pydantic.Field(pattern=r"^[^/\\:]*[^/\\:.][^/\\:]*$")]
Address = Annotated[str, pydantic.Field(pattern="^https?://[^/]+/")]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class RemoteFile(_Strict):
    """A file to fetch.

    Attributes:
      name: Its name here.
      url: Its address.
      size: Its length in bytes; `None` if it is not published.
      about_mb: Its length in units of 10^6 bytes, only to be shown, if `size` is not known.
      sha256: Its SHA-256 in hexadecimal digits, if it is published.
      md5: Its MD5 in hexadecimal digits, if no SHA-256 is published.
      unpack: It is an archive. The folder for its content, or `.` for the directory itself.
      unverified: What could not be found in a public source.
    """

    name: Name
    url: Address
    size: Annotated[int, pydantic.Field(gt=0)] | None = None
    about_mb: Annotated[float, pydantic.Field(gt=0)] | None = None
    sha256: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")] | None = None
    md5: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{32}$")] | None = None
    unpack: Name | Literal["."] | None = None
    unverified: Literal["address", "checksum"] | None = None

    @pydantic.model_validator(mode="after")
    def _says_what_it_knows(self) -> RemoteFile:
        if (self.size is None) == (self.about_mb is None):
            raise ValueError("one of size and about_mb is needed")
        if not (self.sha256 or self.md5) and self.unverified != "checksum":
            raise ValueError("without sha256 and md5, unverified must be checksum")
        return self

    @property
    def expected_mb(self) -> float:
        """Its exact or approximate length in units of 10^6 bytes."""
        return self.size / MB if self.size is not None else float(self.about_mb or 0)


class Entry(_Strict):
    """A data set or a checkpoint.

    Attributes:
      title: What it is, in one line.
      page: Where its authors describe or give it.
      licence: Its licence, in words.
      files: What is fetched; empty if there is no direct address.
      how: What to do by hand, in words, if the files are not all that is needed.
      then: The command that uses it; `{path}` is its directory.
    """

    title: str
    page: Address
    licence: str
    files: tuple[RemoteFile, ...] = ()
    how: str | None = None
    then: str | None = None

    @pydantic.model_validator(mode="after")
    def _gives_a_way(self) -> Entry:
        if not self.files and not self.how:
            raise ValueError("files or how is needed")
        return self

    @property
    def expected_mb(self) -> float:
        """Exact or approximate length of all files in units of 10^6 bytes."""
        return sum(file.expected_mb for file in self.files)


def read_table(path: StrPath | None = None) -> dict[str, Entry]:
    """Read a table of addresses.

    Args:
      path: A YAML mapping of names to entries; by default the table of this package.

    Returns:
      Name -> entry, in the order of the table.

    Raises:
      UserError: The file is missing or is no such table; the message names the entry and the key.
    """
    file = SHIPPED if path is None else Path(path)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"no table of addresses at {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return pydantic.TypeAdapter(dict[Name, Entry]).validate_python(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the table"
        raise UserError(
            f"{file}, {place}: {first['msg']} (it is {first['input']!r}); write it as in the"
            f" package's {SHIPPED.name}"
        ) from error


def find(name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry of that name.

    Raises:
      UserError: There is none; the message lists similar names.
    """
    if name not in table:
        close = difflib.get_close_matches(name, table, n=3, cutoff=0.4) or table
        raise UserError(
            f"nothing to download is named {name!r}; use one of {', '.join(close)}"
            " (vipann-tf download --list shows all)"
        )
    return table[name]
