"""A small model with a Flipout head, the data set that trained it, and the page of both."""

import numpy as np
import pytest

from tests.helpers.exported_models import LABELS, small_info, small_model
from vipann_tf.app.run import open_session
from vipann_tf.datasets.base import Clip, Source
from vipann_tf.recipes import TransferRecipe, load_recipe
from vipann_tf.records.prepare import prepare
from vipann_tf.saved_model import export

SPLITS = {"fold1": 10, "fold2": 6, "fold5": 5}


def decode(clip, sample_rate_hz):
    """Noise whose loudness and colour tell its label."""
    label = LABELS.index(clip.labels[0])
    rng = np.random.default_rng([*clip.clip_id.encode()])
    noise = rng.normal(0, 0.02 * (1 + label), sample_rate_hz).astype(np.float32)
    return np.cumsum(noise).astype(np.float32) % 0.5 if label % 2 else noise


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Path of a data set: of each split, clips of all five labels in turn."""
    clips = [
        Clip(f"{split}-{number}", "", (LABELS[number % 5],), split)
        for split, count in SPLITS.items()
        for number in range(count)
    ]
    source = Source("tiny", "multiclass", tuple(LABELS), clips, 1.0, decode=decode)
    out = tmp_path_factory.mktemp("data") / "tiny"
    prepare(source, out, shards=1, workers=1)
    return out


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Path of a model that fold 1 of that data set trained."""
    network = small_model("det-flip")
    path = tmp_path_factory.mktemp("models") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "write_warmup", lambda version, info: [])  # no server warms up
        export.export(network, path, small_info(network), LABELS)
    return path


@pytest.fixture(scope="session")
def recipe():
    """A training of a few steps."""
    settings = ["strategy=det-flip", "mode=fixed", "training.steps=3", "export.num_draws=2"]
    return load_recipe(TransferRecipe, "transfer/small_fixed", settings)


@pytest.fixture(scope="session")
def opened(model, data, recipe):
    """Opens the page of the model, with its answers in a directory."""
    return lambda out, **options: open_session(
        model, out=out, recipe=recipe, **{"data": data, **options}
    )


@pytest.fixture(scope="session")
def shared(opened, tmp_path_factory):
    """A page for tests that change nothing, or that do not mind what others have answered."""
    return opened(tmp_path_factory.mktemp("labels"))
