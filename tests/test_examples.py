"""The example sounds: few, small, decodable, and each with a licence that lets anyone use it."""

import re

from tests.helpers.paths import SOUNDS
from vipann_tf.audio.decoding import read_audio

RATE_HZ = 32_000


def test_each_sound_has_its_licence():
    rows = re.findall(
        r"^\| `(\S+)` \|.*\| (.+) \|$",
        (SOUNDS / "LICENCES.md").read_text(encoding="utf-8"),
        flags=re.M,
    )
    assert sorted(name for name, _ in rows) == sorted(path.name for path in SOUNDS.glob("*.ogg"))
    for name, licence in rows:
        assert re.match(r"(CC0|CC BY)\b(?! ?-)", licence) and "SA" not in licence, name


def test_the_sounds_are_short_and_small_and_can_be_heard():
    files = sorted(path for path in SOUNDS.iterdir() if path.suffix != ".md")
    assert len(files) == 12
    assert sum(path.stat().st_size for path in files) < 1e6
    for file in files:
        waveform = read_audio(file, RATE_HZ)
        assert 0.5 < len(waveform) / RATE_HZ < 10.1, file.name
        assert abs(waveform).max() > 0.05, file.name
