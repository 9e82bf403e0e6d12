"""A network in memory becomes a model directory."""

import numpy as np
import pytest

import vipann_tf as vt
from tests.helpers import networks
from tests.helpers.exported_models import CLOSE, LABELS
from vipann_tf.models.loss import probabilities
from vipann_tf.saved_model import export as export_module


@pytest.fixture(scope="module")
def network():
    return networks.network("dropout", {"task": "multiclass"})


def test_a_network_of_ones_own(network, sounds, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_warmup", lambda version, info: [])
    version = vt.export(network, tmp_path / "own", labels=LABELS, clip_seconds=2.5, num_draws=3)
    model = vt.load(tmp_path / "own")
    assert model.path == version and model.labels == LABELS
    info = model.info
    assert (info.origin, info.clip_seconds, info.num_draws, info.seed) == ("keras", 2.5, 3, 0)
    found = model.predict(sounds, sample_rate_hz=32_000)
    draws = [network.run(sounds, draw=network.draw(seed=0, index=i)) for i in (1, 2, 3)]
    expected = np.mean([probabilities(logits, "multiclass") for logits in draws], axis=0)
    np.testing.assert_allclose(found.probabilities, expected, **CLOSE)
    with pytest.raises(vt.UserError, match="labels is for a network in memory"):
        vt.export(model, tmp_path / "again", labels=LABELS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"labels": None}, "labels is None; give the 5 different names"),
        ({"labels": "abcde"}, "labels is 'abcde'; give the 5"),
        ({"labels": LABELS[:4]}, "give the 5 different names"),
        ({"labels": [*LABELS[:4], LABELS[0]]}, "give the 5 different names"),
        ({"clip_seconds": None}, "clip_seconds is None; say how long the clips were"),
        ({"clip_seconds": 0.5}, "clip_seconds is 0.5; .* 1 s or more"),
        ({"dropout": False}, "dropout is for a model directory"),
        ({"num_draws": 1001}, "num_draws is 1001; use 1 to 1000"),
        ({"draw_storage": "stored"}, "draw_storage 'stored' needs a Flipout model"),
    ],
)
def test_mistakes(network, tmp_path, options, message):
    arguments = {"labels": LABELS, "clip_seconds": 2.5, **options}
    with pytest.raises(vt.UserError, match=message):
        vt.export(network, tmp_path / "own", **arguments)
    assert not (tmp_path / "own").exists()


def test_no_network(tmp_path):
    with pytest.raises(vt.UserError, match="model is a dict; give a model directory or a VIPANN"):
        vt.export({}, tmp_path / "own", labels=LABELS, clip_seconds=2.5)
