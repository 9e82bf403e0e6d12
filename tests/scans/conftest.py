"""A small exported model, and recordings to scan."""

import pytest

from tests.helpers.exported_models import LABELS, small_info, small_model
from vipann_tf.saved_model.export import export


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Path of a deterministic model that was trained on clips of two seconds."""
    network = small_model("det")
    path = tmp_path_factory.mktemp("models") / "det"
    info = small_info(network).model_copy(update={"clip_seconds": 2.0})
    export(network, path, info, LABELS)
    return str(path)
