"""When a recording began, and the time of day of what is heard in it."""

from __future__ import annotations

import dataclasses
import difflib
import os
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.notices import Notice
from vipann_tf.scans.metadata_times import metadata_times
from vipann_tf.scans.written_times import read_name, read_offset, read_text

__all__ = ["Clock", "Started", "Zone", "clock_times", "parse_start", "parse_timezone"]

Zone = Literal["local", "UTC"]
TimeSource = Literal["given", "guano", "wamd", "audiomoth", "name"]
# By how much name and metadata may differ: the file may be opened before the sound begins.
_AGREE = timedelta(seconds=5)
_UNSET_YEAR = 1970
_WORDS = {"guano": "GUANO metadata", "wamd": "WAMD metadata", "audiomoth": "comment of AudioMoth"}


@dataclasses.dataclass(frozen=True)
class Started:
    """The time at which a recording began.

    Attributes:
      time: In UTC (aware) if the offset is known; else as the recorder's clock showed it (naive).
      source: `given` by the user, metadata (`guano`, `wamd`, `audiomoth`) or the file's `name`.
      utc_offset: What the local time at the recorder was ahead of UTC; `None` if it is unknown.
    """

    time: datetime
    source: TimeSource
    utc_offset: timedelta | None = None

    @property
    def is_utc(self) -> bool:
        """Whether `time` is in UTC."""
        return self.time.tzinfo is not None

    @property
    def shown(self) -> tuple[datetime, Zone]:
        """The time of the clock that people are shown, without offset, and which clock it is."""
        if self.is_utc and not self.utc_offset:
            return self.time.replace(tzinfo=None), "UTC"
        return (self.time + (self.utc_offset or timedelta())).replace(tzinfo=None), "local"


@dataclasses.dataclass(frozen=True)
class Clock:
    """How to find out when recordings began.

    Attributes:
      start: Begin of the one recording, as the user gave it; it wins over all else. The caller
        allows it for one recording only.
      timezone: Zone of times that come without an offset; `None` leaves them naive.
    """

    start: datetime | None = None
    timezone: tzinfo | None = None

    def start_of(self, path: StrPath) -> tuple[Started | None, tuple[Notice, ...]]:
        """Return when a recording began, and what is to be known about it.

        Metadata win over the name, GUANO over WAMD, and both over AudioMoth's comment. A time
        without an offset gives way to one that agrees with it and has one.

        Args:
          path: The recording. Metadata are read from WAV files.

        Returns:
          `None` if nothing says it for certain. Kinds of notices: `no-time`, `ambiguous-time` (none
          is returned); `ambiguous-offset`, `assumed-utc`, `clock-change`, `times-differ`,
          `unreadable-time`.
        """
        said: list[tuple[str, str]] = []
        if self.start is not None:
            started = self._place(self.start, "given", said)
        else:
            started = self._find(path, said)
        notices = (Notice(os.fspath(path), "", kind, detail) for kind, detail in said)
        return started, tuple(notices)

    def _find(self, path: StrPath, said: list[tuple[str, str]]) -> Started | None:
        name = read_name(path)
        found: dict[TimeSource, datetime] = dict(_metadata(path, said))
        if name.time is not None:
            found["name"] = name.time
        unset = [source for source, time in found.items() if time.year <= _UNSET_YEAR]
        for source in unset:
            del found[source]
        if not found:
            said.append(_nothing(name.kind, name.detail, unset=bool(unset)))
            return None
        source = next(iter(found))
        if found[source].tzinfo is None:
            better = (x for x in found if found[x].tzinfo and _agree(found[x], found[source]))
            source = next(better, source)
        for other, time in found.items():
            if not _agree(time, found[source]):
                detail = (
                    f"its {_WORDS.get(other, other)} says {time}, its {_WORDS.get(source, source)}"
                    f" {found[source]}, which counts"
                )
                said.append(("times-differ", detail))
        if source == "name" and name.kind:
            said.append((name.kind, name.detail))
        time = found[source]
        if source == "name" and name.audiomoth and time.tzinfo is None and self.timezone is None:
            said.append(
                (
                    "assumed-utc",
                    "its name is one of AudioMoth, which knows UTC unless it was configured"
                    " otherwise; --timezone says what it was",
                )
            )
            time = time.replace(tzinfo=timezone.utc)
        return self._place(time, source, said)

    def _place(
        self, time: datetime, source: TimeSource, said: list[tuple[str, str]]
    ) -> Started | None:
        if time.tzinfo is None and self.timezone is not None:
            time = time.replace(tzinfo=self.timezone, fold=0)
            later = time.replace(fold=1)
            if time.utcoffset() != later.utcoffset():
                said.append(("clock-change", _clock_change(time, later)))
        if time.tzinfo is None:
            return Started(time, source)
        return Started(time.astimezone(timezone.utc), source, time.utcoffset())


def clock_times(started: Started, offsets_s: ArrayLike) -> NDArray[np.datetime64]:
    """Return the times of places in a recording.

    Args:
      started: When it began; times are in UTC if `started.is_utc`, else of the recorder's clock.
      offsets_s: Seconds from its begin, `[...]`.

    Returns:
      datetime64[ms] `[...]`.
    """
    begin = np.datetime64(started.time.replace(tzinfo=None), "us")
    microseconds = np.rint(np.asarray(offsets_s, np.float64) * 1e6).astype("timedelta64[us]")
    # To the nearest millisecond; a cast alone would cut the rest off.
    return np.asarray(begin + microseconds + np.timedelta64(500, "us")).astype("datetime64[ms]")


def parse_start(text: str) -> datetime:
    """Return the time of an argument, with an offset if it has one.

    Raises:
      UserError: It is none.
    """
    time = read_text(text)
    if time is None:
        raise UserError(
            f"start is {text!r}; write year, month, day and time, such as 2023-05-01T05:00:00 or"
            " 2023-05-01T05:00:00+02:00"
        )
    return time


def parse_timezone(text: str) -> tzinfo:
    """Return the zone of an argument: `UTC`, an offset such as `+02:00`, or a name of the IANA.

    Raises:
      UserError: It is none.
    """
    offset = read_offset(text)
    if offset is not None:
        return timezone(offset)
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        names = {name.casefold(): name for name in zoneinfo.available_timezones()}
        near = difflib.get_close_matches(text.casefold(), names, n=1)
        meant = f" (perhaps {names[near[0]]})" if near else ""
        raise UserError(
            f"timezone is {text!r}; use UTC, an offset such as +02:00, or a name such as"
            f" Europe/Berlin{meant}"
        ) from error


def _metadata(path: StrPath, said: list[tuple[str, str]]) -> Iterator[tuple[TimeSource, datetime]]:
    sources: tuple[TimeSource, ...] = ("guano", "wamd", "audiomoth")
    texts = metadata_times(path)
    for source in sources:
        if source in texts:
            time = read_text(texts[source])
            if time is not None:
                yield source, time
            else:
                detail = f"{_WORDS[source]} has the time {texts[source][:40]!r}, which is none"
                said.append(("unreadable-time", detail))


def _agree(one: datetime, other: datetime) -> bool:
    """Return whether two times may be the same; one without an offset may be local or in UTC."""
    if (one.tzinfo is None) == (other.tzinfo is None):
        return abs(one - other) <= _AGREE
    aware, naive = (one, other) if one.tzinfo else (other, one)
    meant = (aware, aware.astimezone(timezone.utc))
    return any(abs(time.replace(tzinfo=None) - naive) <= _AGREE for time in meant)


def _nothing(kind: str, detail: str, *, unset: bool) -> tuple[str, str]:
    if unset:
        detail = f"the year is {_UNSET_YEAR}: the recorder's clock was never set"
        return "no-time", f"{detail}; --start says when one recording began"
    detail = detail or "neither its name nor metadata say when it began"
    return kind or "no-time", f"{detail}; --start says it for one recording"


def _clock_change(time: datetime, later: datetime) -> str:
    """Say what a zone's change of clocks makes of a time; `later` has the other offset."""
    again = time.astimezone(timezone.utc).astimezone(time.tzinfo)
    if again.replace(tzinfo=None) == time.replace(tzinfo=None):
        what = "was twice when clocks were set back; the first is taken"
    else:
        what = "never was, since clocks were set forward; it is taken as if they had not been"
    offsets = " or ".join(f"{x[:3]}:{x[3:5]}" for x in (time.strftime("%z"), later.strftime("%z")))
    return (
        f"{time:%Y-%m-%d %H:%M:%S} in {time.tzinfo} {what}. Many recorders keep one offset all"
        f" year: then give it, --timezone {offsets}"
    )
