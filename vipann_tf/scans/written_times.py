"""Times of day as people and recorders write them: in texts, and in names of files."""

from __future__ import annotations

import dataclasses
import os
import re
from datetime import datetime, timedelta, timezone

from vipann_tf.files.paths import StrPath

__all__ = ["NameTime", "read_name", "read_offset", "read_text"]

_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6})\d*)? ?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII)

# What a name may hold, anywhere in it:
#   20230501_050000  20230501T050000  20230501$050000 (Song Meter with GPS)  20230501050000
#   2023-05-01 05-00-00  2023-05-01_05-00 (Arbimon; no seconds only where marks part the minutes)
#   2023-05-01-birdnet-05:00:00 (BirdNET-Pi)
# with thousandths or millionths behind, and an offset: Z, +1000, -05:30, (-0500), +10, UTC+2.
# A whole name may be Unix time in capital hexadecimal digits, one of them a letter (AudioMoth until
# 2019), or end with a serial number, a point and yymmddhhmmss (SoundTrap).
_NAME = re.compile(
    r"""
    (?<!\d) (?P<year>(?:19|20)\d\d) (?P<dash>[-_.]?) (?P<month>\d\d) (?P=dash) (?P<day>\d\d)
    (?: [T_\s$-] | -birdnet-(?:RTSP_\d+-)? )?
    (?P<hour>\d\d) (?P<colon>[-:_.h]?) (?P<minute>\d\d)
    (?: (?P=colon) (?P<second>\d\d) (?: [.,]? (?P<fraction>\d{6}|\d{3}) )? )?
    (?P<offset>
      [_\s-]? UTC (?: [+-]\d{1,2} (?: :?\d\d )? )?
    | Z (?![A-Za-z])
    | [_\s]? \(? [+-](?:0\d|1[0-4]) :? (?:00|15|30|45) \)?
    | [_\s]? \+(?:0\d|1[0-4])
    )?
    (?!\d) (?P<number>-\d\d(?!\d))?
    | ^ (?=\d*[A-F]) (?P<unix>[5-7][0-9A-F]{7}) $
    | (?<=\d\.) (?P<short>\d{12}) $
    """,
    re.ASCII | re.VERBOSE,
)
_DAY_FIRST = re.compile(r"(?<!\d)\d\d([-_.]?)\d\d\1(?:19|20)\d\d[T_\s-]?\d\d[-:_.h]?\d\d", re.ASCII)
# A name of AudioMoth, perhaps with its serial number; T: a recording that a sound triggered.
_AUDIOMOTH = re.compile(r"(?:[0-9A-F]{16}_)?\d{8}_\d{6}T?\.WAV", re.ASCII)
_HEX_YEARS = range(2017, 2030)


@dataclasses.dataclass(frozen=True)
class NameTime:
    """What the name of a file says of time.

    Attributes:
      time: With an offset where the name has one; `None` if it holds no time, or none for certain.
      kind: Kind of the notice that is due; empty if none is.
      detail: Its detail.
      audiomoth: Whether it is written as AudioMoth writes it.
    """

    time: datetime | None
    kind: str = ""
    detail: str = ""
    audiomoth: bool = False


def read_name(path: StrPath) -> NameTime:
    """Read the time in the name of a file.

    A time is only what can be nothing else: a year with four digits before month and day. Nothing
    is read from a name that holds two times, the day before the month, or an impossible time.
    """
    name = re.split(r"[\\/]", os.fspath(path))[-1]
    stem = name[: name.rfind(".")] if name.rfind(".") > 0 else name
    found: dict[datetime, re.Match[str]] = {}
    impossible = ""
    for match in _NAME.finditer(stem):
        try:
            time = _time_of(match)
        except (ValueError, OverflowError):
            impossible = impossible or match[0]
            continue
        if time is not None:
            found.setdefault(time, match)
    if len(found) > 1:
        texts = " and ".join(match[0] for match in found.values())
        return NameTime(None, "ambiguous-time", f"its name holds several times: {texts}")
    for time, match in found.items():
        if match["number"] and not match["offset"]:
            detail = f"{match['number']} in its name may be an offset from UTC; taken for a number"
            return NameTime(time, "ambiguous-offset", detail)
        return NameTime(time, audiomoth=_AUDIOMOTH.fullmatch(name) is not None)
    if day_first := _DAY_FIRST.search(stem):
        detail = (
            f"{day_first[0]} in its name has the year behind day and month, whose order is unknown"
        )
        return NameTime(None, "ambiguous-time", detail)
    if impossible:
        return NameTime(None, "no-time", f"{impossible} in its name is no possible time")
    return NameTime(None)


def _time_of(match: re.Match[str]) -> datetime | None:
    """Return the time that a match holds; `None` if it only looks like one.

    Raises:
      ValueError: It is impossible.
    """
    if match["unix"]:
        time = datetime.fromtimestamp(int(match["unix"], 16), timezone.utc)
        return time if time.year in _HEX_YEARS else None
    if match["short"]:
        return datetime.strptime(match["short"], "%y%m%d%H%M%S")
    if match["second"] is None and not match["colon"]:
        return None  # 20230501_0500 may be a number
    time = datetime(
        int(match["year"]),
        int(match["month"]),
        int(match["day"]),
        int(match["hour"]),
        int(match["minute"]),
        int(match["second"] or 0),
        int((match["fraction"] or "").ljust(6, "0")),
    )
    if not match["offset"]:
        return time
    written = re.sub(r"[_\s()-]*UTC|[_\s()]", "", match["offset"]) or "Z"
    offset = read_offset(written)
    if offset is None:
        raise ValueError(f"{written} is no offset")
    return time.replace(tzinfo=timezone(offset))


def read_text(text: str) -> datetime | None:
    """Read a time such as `2023-05-01T05:00:00+02:00`; `None` if it is none.

    A blank may stand for the T. Seconds, a fraction and the offset may be absent.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    day, minutes, seconds, fraction, written = match.groups()
    try:
        time = datetime.fromisoformat(f"{day}T{minutes}{seconds or ':00'}")
    except ValueError:
        return None
    time = time.replace(microsecond=int((fraction or "").ljust(6, "0")))
    if written is None:
        return time
    offset = read_offset(written)
    return None if offset is None else time.replace(tzinfo=timezone(offset))


def read_offset(text: str) -> timedelta | None:
    """Read an offset from UTC such as `Z`, `+02:00`, `-0330` or `+2`; `None` if it is none."""
    if text.upper() in ("Z", "UTC"):
        return timedelta(0)
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if offset > timedelta(hours=14) or int(match[3] or 0) > 59:
        return None
    return -offset if match[1] == "-" else offset
