"""Times in names of recorders, by hand; and names that hold no time."""

import datetime
import random

import pytest

from vipann_tf.scans.written_times import read_name, read_offset, read_text

NAIVE = "2023-05-01T05:00:00"


@pytest.mark.parametrize(
    "name, expected",
    [
        # AudioMoth
        ("20230501_050000.WAV", NAIVE),
        ("20230501_050000T.WAV", NAIVE),
        ("24F319055FDF2902_20230501_050000.WAV", NAIVE),
        ("5E90A4D4.WAV", "2020-04-10T16:54:44+00:00"),
        ("20230501T050000.wav", NAIVE),
        # Song Meter: SM2, SM3, SM4, Mini, Micro, SMART, with GPS
        ("SITE-1_20230501_050000.wav", NAIVE),
        ("2MM01234_20230501_050000.wav", NAIVE),
        ("SM301_0+1_20230501_050000.wav", NAIVE),
        ("SM3BAT_-_20230501_050000_000.wav", NAIVE),
        ("ARIZONA-1_20230501$050000.wav", NAIVE),
        ("MIC_20230501_050000_123456.wav", NAIVE),
        # BAR-LT of Frontier Labs
        ("20230501T050000+1000_REC [-27.3 153.1].flac", "2023-05-01T05:00:00+10:00"),
        ("20230501T050000+1000_NAME.flac", "2023-05-01T05:00:00+10:00"),
        ("20230501T050000-0530_NAME.flac", "2023-05-01T05:00:00-05:30"),
        ("20230501_050000_+0930_REC.flac", "2023-05-01T05:00:00+09:30"),
        ("20230501T050000Z_NAME.flac", "2023-05-01T05:00:00+00:00"),
        # Ecoacoustic workbenches
        ("G024_V1_C2065_U1_20230501_050000Z.flac", "2023-05-01T05:00:00+00:00"),
        ("prefix_20230501-050000+10.mp3", "2023-05-01T05:00:00+10:00"),
        ("SERF_20230501_050000_000.wav", NAIVE),
        # Swift
        ("S1048_20230501_050000(-0500).wav", "2023-05-01T05:00:00-05:00"),
        ("swift20230501_050000.wav", NAIVE),
        # Arbimon, BirdNET-Pi, Merlin, people
        ("station-2023-05-01_05-00.flac", "2023-05-01T05:00:00"),
        ("2023-05-01 05-00-00.wav", NAIVE),
        ("2023-05-01-05-00-00-UTC.wav", "2023-05-01T05:00:00+00:00"),
        ("2023-05-01-birdnet-05:00:00.wav", NAIVE),
        ("Corvus_corax-88-2023-05-01-birdnet-RTSP_1-05:00:00.mp3", NAIVE),
        ("2023-05-01T05:00:00+02:00.wav", "2023-05-01T05:00:00+02:00"),
        ("2023-05-01T05_00_00.250.wav", "2023-05-01T05:00:00.250000"),
        ("rec 2023.05.01 05.00.00.m4a", NAIVE),
        ("VID_20230501050000.mp4", NAIVE),
        ("20230501_050000_UTC+2.wav", "2023-05-01T05:00:00+02:00"),
        # Under water: SoundTrap, AMAR, Loggerhead
        ("5678.230501050000.wav", NAIVE),
        ("AMAR668.9.20230501T050000Z.wav", "2023-05-01T05:00:00+00:00"),
        ("20230501T050000_1234567890_2.0dB.wav", NAIVE),
        # The same time twice, another number, and the begin of a range
        ("20230501_050000_20230501T050000.wav", NAIVE),
        ("99999999_20230501_050000.wav", NAIVE),
        ("20230501_050000-060000.wav", NAIVE),
        ("20230501_050000-0001.wav", NAIVE),
        ("20240229_235959.wav", "2024-02-29T23:59:59"),
    ],
)
@pytest.mark.parametrize("folder", ["", "/a/20190101_000000/", "s3://b/x/", "D:\\card 1\\"])
def test_names_of_recorders(name, expected, folder):
    found = read_name(folder + name)
    assert found.time == datetime.datetime.fromisoformat(expected), found
    assert not found.kind
    if found.time.tzinfo:
        assert found.time.isoformat() == expected  # the offset, too
    assert found.audiomoth == ("_050000" in name and name.endswith(".WAV"))


@pytest.mark.parametrize(
    "name, kind",
    [
        ("take_2023.wav", ""),
        ("clip.wav", ""),
        ("20230501.wav", ""),
        ("2023-05-01.wav", ""),
        ("20230501_0500.wav", ""),  # or number 500
        ("12345678_123456_clip.wav", ""),
        ("1-20133-A-15.wav", ""),
        ("1234567820230501_050000.wav", ""),
        ("10160435.wav", ""),  # Batlogger's numbers
        ("58700435.WAV", ""),  # as hexadecimal, it would be of 2017
        ("5e90a4d4.wav", ""),
        ("FFFFFFFF.WAV", ""),
        ("7FFFFFFF.WAV", ""),  # 2038
        ("", ""),
        (".wav", ""),
        ("20231301_050000.wav", "no-time"),
        ("20230230_050000.wav", "no-time"),
        ("20230501_250000.wav", "no-time"),
        ("20230501_056000.wav", "no-time"),
        ("20230501_050060.wav", "no-time"),
        ("1234.231301050000.wav", "no-time"),
        ("20230501_050000_UTC+15.wav", "no-time"),
        ("01052023_050000.wav", "ambiguous-time"),
        ("25-12-2023 05-00-00.wav", "ambiguous-time"),
        ("20230501_050000_20230501_060000.wav", "ambiguous-time"),
        ("2023-05-01T050000Z_20230501_070000.wav", "ambiguous-time"),
    ],
)
def test_names_without_a_certain_time(name, kind):
    found = read_name(name)
    assert (found.time, found.kind) == (None, kind)
    assert bool(found.detail) == bool(kind)


def test_a_number_that_may_be_an_offset_is_said():
    found = read_name("20230501_050000-05.wav")
    assert found.time == datetime.datetime.fromisoformat(NAIVE)
    assert found.kind == "ambiguous-offset" and "-05 in its name may be" in found.detail


def test_any_time_written_by_strftime_is_read_back():
    rng = random.Random(0)
    forms = [
        "%Y%m%d_%H%M%S",
        "{}_%Y%m%d_%H%M%S{}",
        "%Y%m%dT%H%M%S_{}",
        "%Y-%m-%d_%H-%M-%S",
        "{}-%Y-%m-%dT%H:%M:%S.%f",
        "%Y%m%d%H%M%S",
        "{} %Y.%m.%d %H.%M.%S",
    ]
    zoned = ["%Y%m%dT%H%M%S%z_{}", "{}_%Y%m%d_%H%M%S(%z)", "%Y-%m-%dT%H:%M:%S%z"]
    words = ["", "SM4", "A", "site", "x_y", "(1)", "T", "_0+1", "[-27.3 153.1]"]
    for _ in range(3000):
        seconds = rng.randrange(60 * 365 * 86400)
        time = datetime.datetime(1971, 1, 1) + datetime.timedelta(seconds=seconds)
        form = rng.choice(forms + zoned)
        if form in zoned:
            quarters = datetime.timedelta(minutes=15 * rng.randrange(-48, 57))
            time = time.replace(tzinfo=datetime.timezone(quarters))
        name = time.strftime(form.format(rng.choice(words), rng.choice(["", "_000", " (2)"])))
        found = read_name(name + rng.choice([".wav", ".WAV", ".flac", ".mp3"]))
        assert found.time == time, name
        if time.tzinfo:
            assert found.time.utcoffset() == time.utcoffset(), name


def test_random_numbers_are_no_times():
    rng = random.Random(1)
    for _ in range(3000):
        name = "_".join(str(rng.randrange(10 ** rng.randrange(1, 9))) for _ in range(3))
        found = read_name(f"{name}.wav")
        if found.time is not None:
            shown = found.time.strftime("%Y%m%d%H%M%S")
            assert shown in name.replace("_", "") or shown[:12] in name.replace("_", ""), name


@pytest.mark.parametrize(
    "text, expected",
    [
        ("2023-05-01T05:00:00", NAIVE),
        (" 2023-05-01 05:00 ", NAIVE),
        ("2023-05-01T05:00:00Z", "2023-05-01T05:00:00+00:00"),
        ("2014-04-02 22:59:14-05:00", "2014-04-02T22:59:14-05:00"),
        ("2014-04-02 22:59:14.250", "2014-04-02T22:59:14.250000"),
        ("2014-04-02T22:59:14.1234567+0530", "2014-04-02T22:59:14.123456+05:30"),
        ("2023-13-01T05:00:00", None),
        ("2023-05-01T05:00:00+15:00", None),
        ("01/05/2023 05:00:00", None),
        ("2023-05-01", None),
        ("", None),
    ],
)
def test_times_in_texts(text, expected):
    wanted = None if expected is None else datetime.datetime.fromisoformat(expected)
    assert read_text(text) == wanted


def test_offsets():
    minutes = {"Z": 0, "utc": 0, "+02:00": 120, "-0330": -210, "+2": 120, "-11": -660}
    for text, value in minutes.items():
        assert read_offset(text) == datetime.timedelta(minutes=value)
    assert not any(map(read_offset, ("", "2", "+15:00", "+02:60", "+1:5", "CET")))
