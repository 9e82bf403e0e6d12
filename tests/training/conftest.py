"""Datasets and base models of the smallest size, made once."""

import pytest
import tensorflow as tf
from tiny import KINDS, light_export, pretrain_recipe

from vipann_tf import datasets
from vipann_tf.records.prepare import prepare
from vipann_tf.training import pretrain, transfer


@pytest.fixture(scope="session")
def tagging(tmp_path_factory):
    """A multilabel dataset directory."""
    return _synthetic(tmp_path_factory, task="multilabel", clips=12)


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """A multiclass dataset directory of five folds."""
    return _synthetic(tmp_path_factory, task="multiclass", clips=20)


def _synthetic(tmp_path_factory, **options):
    out = tmp_path_factory.mktemp("data") / options["task"]
    prepare(datasets.load("synthetic", None, seconds=1.0, **options), out, workers=1)
    return out


@pytest.fixture
def eager(monkeypatch):
    """Runs steps without tracing them, which takes longer than a few steps of a tiny network; and
    exports without tracing, too."""
    monkeypatch.setattr(pretrain, "export", light_export)
    monkeypatch.setattr(transfer, "export", light_export)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def bases(tmp_path_factory, tagging):
    """Model directory of a pretrained network of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "export", light_export)
        tf.config.run_functions_eagerly(True)
        made = {}
        for kind in KINDS:
            made[kind] = tmp_path_factory.mktemp("bases") / kind
            pretrain.pretrain(pretrain_recipe(kind), tagging, made[kind])
        tf.config.run_functions_eagerly(False)
    return made
