"""When recordings began: GUANO against its own package, WAMD and comments by hand, zones."""

import datetime
import struct
import zoneinfo

import numpy as np
import pytest

from tests.helpers.wav_files import wav_bytes
from vipann_tf.audio.decoding import duration_s
from vipann_tf.audio.pcm_header import riff_chunks
from vipann_tf.errors import UserError
from vipann_tf.scans.clock import Clock, Started, clock_times, parse_start, parse_timezone
from vipann_tf.scans.metadata_times import metadata_times

UTC = datetime.timezone.utc
SOUND = wav_bytes(np.zeros(801), 8000)


def time(text):
    return datetime.datetime.fromisoformat(text)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def guano(text):
    return chunk(b"guan", f"GUANO|Version: 1.0\nMake: X: Y\nTimestamp: {text}\nTE: 1\n".encode())


def wamd(text, version=1):
    entries = [(0, struct.pack("<H", version)), (1, b"SM4"), (5, text.encode() + b"\0")]
    return chunk(b"wamd", b"".join(struct.pack("<HI", n, len(x)) + x for n, x in entries))


def comment(text):
    content = f"Recorded at {text} by AudioMoth 24F319055FDF2902 at medium gain.".encode()
    return chunk(b"LIST", b"INFO" + chunk(b"ICMT", content + b"\0" * 9))


def write(path, *before, after=(), sound=SOUND):
    """A WAV with chunks before and behind its samples."""
    body = b"WAVE" + b"".join(before) + sound[12:] + b"".join(after)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def start(path, **options):
    started, notices = Clock(**options).start_of(path)
    assert all(notice.path == str(path) and notice.detail for notice in notices)
    return started, [notice.kind for notice in notices]


@pytest.mark.parametrize(
    "chunks, source, expected",
    [
        ([guano("2023-05-01T05:00:00+02:00")], "guano", "2023-05-01T03:00:00+00:00"),
        ([guano("2023-05-01 05:00:00.5")], "guano", "2023-05-01T05:00:00.500000"),
        ([wamd("2014-04-02 22:59:14-05:00")], "wamd", "2014-04-03T03:59:14+00:00"),
        ([wamd("2014-04-02 22:59:14.000")], "wamd", "2014-04-02T22:59:14"),
        ([comment("05:00:00 01/05/2023 (UTC)")], "audiomoth", "2023-05-01T05:00:00+00:00"),
        ([comment("05:00:00 01/05/2023 (UTC+2)")], "audiomoth", "2023-05-01T03:00:00+00:00"),
        (
            [comment("05:00:00.250 01/05/2023 (UTC-3:30)")],
            "audiomoth",
            "2023-05-01T08:30:00.250000+00:00",
        ),
        (
            [wamd("2014-04-02 22:59:14"), guano("2014-04-02T22:59:15")],
            "guano",
            "2014-04-02T22:59:15",
        ),
        # The one with an offset, if both may be right
        (
            [guano("2014-04-02T22:59:15"), wamd("2014-04-02 22:59:14-05:00")],
            "wamd",
            "2014-04-03T03:59:14+00:00",
        ),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_metadata(tmp_path, chunks, source, expected, behind):
    before, after = ([], chunks) if behind else (chunks, [])
    path = write(tmp_path / "a.wav", *before, after=after)
    started, kinds = start(path)
    assert (started.time, started.source, kinds) == (time(expected), source, [])
    assert started.is_utc == ("+" in expected)
    assert duration_s(path) == pytest.approx(801 / 8000)


@pytest.mark.parametrize(
    "chunks, zone, shown",
    [
        (guano("2023-05-01T05:00:00+02:00"), "local", "2023-05-01T05:00:00"),
        (guano("2023-05-01T05:00:00"), "local", "2023-05-01T05:00:00"),
        (comment("05:00:00 01/05/2023 (UTC)"), "UTC", "2023-05-01T05:00:00"),
    ],
)
def test_the_time_that_people_are_shown(tmp_path, chunks, zone, shown):
    started, _ = start(write(tmp_path / "a.wav", chunks))
    assert started.shown == (time(shown), zone)


def test_guano_as_its_own_package_writes_it(tmp_path):
    guano_package = pytest.importorskip("guano", reason="the test extra has it")
    path = write(tmp_path / "a.wav")
    file = guano_package.GuanoFile(str(path))
    offset = datetime.timezone(datetime.timedelta(hours=-7))
    moment = datetime.datetime(2022, 7, 8, 21, 30, 5, 125000, offset)
    file["GUANO|Version"] = 1.0
    file["Timestamp"] = moment
    file["Note"] = "Wald\nTimestamp: 1999-01-01T00:00:00"
    file.write(make_backup=False)
    started, kinds = start(path)
    assert (started.time, kinds) == (moment, [])
    assert started.utc_offset == datetime.timedelta(hours=-7)
    assert read_back(guano_package, path) == started.time


def read_back(package, path):
    return package.GuanoFile(str(path))["Timestamp"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"fLaC" + SOUND[4:],
        SOUND[:20],
        SOUND + b"guan",
        SOUND + b"guan\xff\xff\xff\xffTimestamp",
        SOUND + b"wamd\x08\0\0\0\5\0\xff\xff\xff\xff20",
        SOUND + chunk(b"guan", b"\xff\xfe\0Timestamp"),
        SOUND + wamd("2014-04-02 22:59:14", version=2),
        SOUND[:4]
        + b"\xff" * 4
        + SOUND[8:40]
        + b"\xff" * 4
        + SOUND[44:]
        + guano("2023-05-01T05:00:00"),
    ],
)
def test_files_that_hold_nothing(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert metadata_times(tmp_path / "a.wav") == {}
    assert start(tmp_path / "a.wav") == (None, ["no-time"])


def test_a_missing_file_has_the_time_of_its_name(tmp_path):
    started, kinds = start(tmp_path / "x_20230501_050000.wav")
    assert (started, kinds) == (Started(time("2023-05-01T05:00:00"), "name"), [])


def test_a_cut_off_file_keeps_what_is_before_the_damage(tmp_path):
    path = write(tmp_path / "a.wav", guano("2023-05-01T05:00:00Z"))
    path.write_bytes(path.read_bytes()[:-500])
    assert start(path)[0].time == time("2023-05-01T05:00:00+00:00")


def test_reserved_room_is_not_searched(tmp_path, monkeypatch):
    """Each eight zeros would be an empty chunk."""
    path = write(tmp_path / "a.wav", guano("2023-05-01T05:00:00Z"))
    with open(path, "r+b") as file:
        file.truncate(1 << 20)
    seen = []

    def counted(*arguments):
        for found in riff_chunks(*arguments):
            seen.append(found)
            yield found

    monkeypatch.setattr("vipann_tf.scans.metadata_times.riff_chunks", counted)
    assert start(path)[0].source == "guano"
    assert len(seen) == 4  # guan, fmt, data, and the first zeros


def test_metadata_behind_samples_of_64_bits(tmp_path):
    body = b"WAVE" + chunk(b"ds64", struct.pack("<QQQI", 0, len(SOUND) - 44, 801, 0))
    sound = SOUND[12:40] + b"\xff" * 4 + SOUND[44:]
    path = tmp_path / "a.wav"
    path.write_bytes(b"RF64" + b"\xff" * 4 + body + sound + guano("2023-05-01T05:00:00Z"))
    assert start(path)[0].source == "guano" and duration_s(path) == pytest.approx(801 / 8000)


def test_names_and_metadata_that_differ_are_said(tmp_path):
    path = write(tmp_path / "s_20230501_050003.wav", guano("2023-05-01T05:00:00+02:00"))
    assert start(path)[1] == []  # the name is local time
    path = write(tmp_path / "s_20230501_030000.wav", guano("2023-05-01T05:00:00+02:00"))
    assert start(path)[1] == []  # or UTC
    path = write(tmp_path / "s_20230501_040000.wav", guano("2023-05-01T05:00:00+02:00"))
    started, kinds = start(path)
    assert (started.source, kinds) == ("guano", ["times-differ"])
    path = write(tmp_path / "20230501T050000+1000_s.wav", wamd("2023-05-01 05:00:00"))
    started, kinds = start(path)
    assert (started.time, started.source) == (time("2023-04-30T19:00:00+00:00"), "name")
    path = write(tmp_path / "20230501_050000.wav", guano("yesterday"))
    started, kinds = start(path)
    assert (started.source, kinds) == ("name", ["unreadable-time"])


def test_clocks_that_were_never_set(tmp_path):
    assert start(tmp_path / "19700101_000012.WAV") == (None, ["no-time"])
    path = write(tmp_path / "s_20230501_050000.wav", wamd("1970-01-01 00:00:00"))
    assert start(path)[0].source == "name"


def test_audiomoth_knows_utc_unless_told_otherwise(tmp_path):
    path = tmp_path / "20230501_050000.WAV"
    utc = time("2023-05-01T05:00:00+00:00")
    assert start(path) == (Started(utc, "name", datetime.timedelta(0)), ["assumed-utc"])
    started, kinds = start(path, timezone=parse_timezone("+02:00"))
    assert (started.time, kinds) == (time("2023-05-01T03:00:00+00:00"), [])
    write(path, comment("05:00:00 01/05/2023 (UTC+2)"))
    assert start(path)[0].time == time("2023-05-01T03:00:00+00:00")


def test_what_the_user_gives_wins(tmp_path):
    path = write(tmp_path / "x_20230501_050000.wav", guano("2023-05-01T05:00:00+02:00"))
    given = parse_start("2020-01-02 03:04")
    started, kinds = start(path, start=given)
    assert (started, kinds) == (Started(time("2020-01-02T03:04:00"), "given"), [])
    started, _ = start(path, start=given, timezone=parse_timezone("Asia/Kathmandu"))
    assert started.time == time("2020-01-01T21:19:00+00:00")


@pytest.mark.parametrize(
    "zone, name, utc, kinds",
    [
        ("Europe/Berlin", "20230326_015959", "2023-03-26T00:59:59", []),
        ("Europe/Berlin", "20230326_023000", "2023-03-26T01:30:00", ["clock-change"]),  # a gap
        ("Europe/Berlin", "20230326_030000", "2023-03-26T01:00:00", []),
        ("Europe/Berlin", "20231029_013000", "2023-10-28T23:30:00", []),
        ("Europe/Berlin", "20231029_023000", "2023-10-29T00:30:00", ["clock-change"]),  # twice
        ("Europe/Berlin", "20231029_030000", "2023-10-29T02:00:00", []),
        ("Australia/Lord_Howe", "20230402_014500", "2023-04-01T14:45:00", ["clock-change"]),
        ("+01:00", "20231029_023000", "2023-10-29T01:30:00", []),
        ("UTC", "20231029_023000", "2023-10-29T02:30:00", []),
    ],
)
def test_zones_around_changes_of_clocks(zone, name, utc, kinds):
    started, said = start(f"SM4_{name}.wav", timezone=parse_timezone(zone))
    assert (started.time, said) == (time(f"{utc}+00:00"), kinds)


def test_the_notice_of_a_change_of_clocks_says_what_to_do():
    _, (notice,) = Clock(timezone=parse_timezone("Europe/Berlin")).start_of("a_20231029_023000.wav")
    assert notice.detail == (
        "2023-10-29 02:30:00 in Europe/Berlin was twice when clocks were set back; the first is"
        " taken. Many recorders keep one offset all year: then give it, --timezone +02:00 or +01:00"
    )


def test_local_hours_of_a_year_against_zoneinfo():
    zone = zoneinfo.ZoneInfo("America/New_York")
    begin = datetime.datetime(2023, 1, 1, 0, 30, tzinfo=UTC)
    for hour in range(0, 365 * 24, 7):
        local = (begin + datetime.timedelta(hours=hour)).astimezone(zone)
        started, said = start(f"x_{local:%Y%m%d_%H%M%S}.wav", timezone=zone)
        assert started.utc_offset == local.replace(fold=0).utcoffset()
        if not said:
            assert started.time == begin + datetime.timedelta(hours=hour)


def test_times_of_windows():
    started = Started(time("2023-10-29T00:59:59.250000+00:00"), "name")
    found = clock_times(started, [[0, 0.7496], [2.5, 3600]])
    assert found.dtype == np.dtype("datetime64[ms]") and found.shape == (2, 2)
    assert found.astype(str).ravel().tolist() == [
        "2023-10-29T00:59:59.250",
        "2023-10-29T01:00:00.000",
        "2023-10-29T01:00:01.750",
        "2023-10-29T01:59:59.250",
    ]
    assert clock_times(Started(time("2023-05-01T05:00:00"), "name"), 1).astype(str).item() == (
        "2023-05-01T05:00:01.000"
    )


@pytest.mark.parametrize(
    "call, text, message",
    [
        (parse_start, "5 o'clock", 'start is "5 o\'clock"; write year, month, day and time'),
        (parse_start, "2023-02-30T05:00", "start is '2023-02-30T05:00'"),
        (parse_timezone, "Europa/Berlin", r"'Europa/Berlin'.* \(perhaps Europe/Berlin\)"),
        (parse_timezone, "../etc/passwd", "'../etc/passwd'; use UTC, an offset such as"),
        (parse_timezone, "Europe", "timezone is 'Europe'"),
        (parse_timezone, "", "timezone is ''"),
        (parse_timezone, "+25:00", "timezone is '.25:00'"),
    ],
)
def test_wrong_arguments(call, text, message):
    with pytest.raises(UserError, match=message):
        call(text)
