"""A small exported model whose draws differ, and sounds for it."""

import numpy as np
import pytest

import vipann_tf as vt
from tests.helpers.exported_models import LABELS, Exported, small_info, small_model
from tests.helpers.light_model import light_version
from tests.helpers.networks import waveforms
from vipann_tf.saved_model import export


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Exported:
    """A model with a random head, for several labels of which one is true."""
    network = small_model("det-flip")
    path = tmp_path_factory.mktemp("models") / "det-flip"
    info = small_info(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "write_warmup", lambda version, info: [])  # no server warms up
        export.export(network, path, info, LABELS)
    return Exported(network, path, info, {})


@pytest.fixture(scope="session")
def model(exported) -> vt.Model:
    return vt.load(exported.path)


@pytest.fixture(scope="session")
def sounds() -> np.ndarray:
    """Three sounds, float32 [3, 40123], at 32 kHz."""
    return waveforms(3, 40_123)


@pytest.fixture(scope="session")
def exported_base(tmp_path_factory):
    """Path of a deterministic network to transfer, without the graph of its SavedModel."""
    network = small_model("det")
    path = tmp_path_factory.mktemp("bases") / "det"
    light_version(network, path, small_info(network), LABELS)
    return path
