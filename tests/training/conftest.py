"""Datasets and base models of the smallest size, made once."""

import pytest

from tests.helpers.tiny_training import KINDS, eagerly, pretrain_recipe
from vipann_tf import datasets
from vipann_tf.records.prepare import prepare
from vipann_tf.training.pretrain import pretrain


@pytest.fixture(scope="session")
def tagging(tmp_path_factory):
    """Prepare a multilabel dataset directory."""
    return _synthetic(tmp_path_factory, task="multilabel", clips=12)


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """Prepare a multiclass dataset directory of five folds."""
    return _synthetic(tmp_path_factory, task="multiclass", clips=20)


def _synthetic(tmp_path_factory, **options):
    out = tmp_path_factory.mktemp("data") / options["task"]
    prepare(datasets.load("synthetic", None, seconds=1.0, **options), out, workers=1)
    return out


@pytest.fixture
def eager(monkeypatch):
    """Run as `tiny_training.eagerly` does."""
    with eagerly(monkeypatch):
        yield


@pytest.fixture(scope="session")
def bases(tmp_path_factory, tagging):
    """Pretrain a network of each kind; return the model directories by kind."""
    made = {kind: tmp_path_factory.mktemp("bases") / kind for kind in KINDS}
    with pytest.MonkeyPatch.context() as patch, eagerly(patch):
        for kind, out in made.items():
            pretrain(pretrain_recipe(kind), tagging, out)
    return made
