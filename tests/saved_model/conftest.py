"""Small exported models of every kind, made once for the tests of this directory."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.exported_models import LABELS, Exported, small_info, small_model
from vipann_tf.saved_model import export as export_module
from vipann_tf.saved_model.export import export


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Function of a kind that gives its `Exported`, made once."""
    made = {}

    def make(kind: str) -> Exported:
        if kind not in made:
            model = small_model(kind)
            info = small_info(model)
            path = tmp_path_factory.mktemp("models") / kind
            export(model, path, info, LABELS)
            loaded = tf.saved_model.load(str(path / "1"))
            made[kind] = Exported(model, path, info, loaded.signatures)
            made[f"{kind} keeps"] = loaded  # its functions live as long as it does
        return made[kind]

    return make


@pytest.fixture(scope="session")
def waveforms() -> np.ndarray:
    """Seven different sounds, float32 [7, 40123]: longer than 1 s, no whole number of hops."""
    rng = np.random.default_rng(2)
    seconds = np.arange(40123) / 32000
    tones = [np.sin(2 * np.pi * 220 * (i + 1) * seconds) for i in range(7)]
    levels = np.geomspace(0.01, 0.5, 7)
    return np.stack(
        [
            (level * (tone + rng.normal(size=tone.size)) / 3).astype(np.float32)
            for level, tone in zip(levels, tones, strict=True)
        ]
    )


@pytest.fixture(scope="module")
def no_warmup():
    """Exports without the requests for a server, which take a third of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "write_warmup", lambda version, info: [])
        yield


@pytest.fixture
def stub(monkeypatch):
    """Exports that write an empty graph: for tests of directories, which need no network."""

    def save(module, path, signatures):
        os.makedirs(path)
        with open(os.path.join(path, "saved_model.pb"), "wb"):
            pass

    monkeypatch.setattr(export_module.tf.saved_model, "save", save)
    monkeypatch.setattr(export_module, "write_warmup", lambda version, info: [])
    monkeypatch.setattr(export_module, "Signatures", lambda model, info: _NoSignatures())
    return small_model("det")


class _NoSignatures:
    def __init__(self):
        self.functions = {}

    def module(self):
        return None
