"""A small exported model, and recordings to scan."""

import numpy as np
import pytest

from tests.helpers.exported_models import LABELS, small_info, small_model
from tests.helpers.recordings import encode, events, wav
from tests.helpers.scanning import run, small_units
from vipann_tf.saved_model.export import export


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Path of a deterministic model that was trained on clips of two seconds."""
    network = small_model("det")
    path = tmp_path_factory.mktemp("models") / "det"
    info = small_info(network).model_copy(update={"clip_seconds": 2.0})
    export(network, path, info, LABELS)
    return str(path)


@pytest.fixture(scope="session")
def season(tmp_path_factory):
    """Recordings of several formats and lengths, a damaged one and a text that is called WAV."""
    folder = tmp_path_factory.mktemp("season")
    damaged = events(9.0)
    damaged[6 * 44_100] = np.nan
    contents = {
        "a/long.wav": wav(np.concatenate([events(11.0), 0.1 * events(7.3)])),
        "a/short.wav": wav(events(1.2)),
        "b/coded.flac": encode(events(6.0), "flac", "flac"),
        "b/damaged.wav": wav(damaged, subtype="FLOAT"),
        "b/half.wav": wav(events(8.0))[:400_000],
        "b/text.wav": b"not audio",
        "b/notes.txt": b"beside them",
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def scanned(model, season, tmp_path_factory):
    """A scan in one process, in units of eight seconds, and what it printed."""
    out = tmp_path_factory.mktemp("scans") / "one"
    with small_units():
        result = run(model, season, "--out", out, "--threshold", "0.2")
    return out, result
