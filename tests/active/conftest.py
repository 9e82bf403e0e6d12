"""A data set and a network of the smallest size, made once."""

import contextlib

import pytest

from tests.helpers.light_model import write_light_model
from tests.helpers.tiny_training import eagerly, shallow
from vipann_tf import datasets
from vipann_tf.active.clips import Clips
from vipann_tf.active.trunk import Trunk
from vipann_tf.records.prepare import prepare
from vipann_tf.records.schema import read_dataset_info


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """Prepare 50 clips of ten labels in five folds."""
    out = tmp_path_factory.mktemp("data") / "events"
    source = datasets.load("synthetic", None, task="multiclass", clips=50, seconds=1.0)
    prepare(source, out, workers=1)
    return out


@contextlib.contextmanager
def one_block():
    """Networks are made of one residual block."""
    with pytest.MonkeyPatch.context() as patch:
        shallow(patch.setitem)
        yield


@pytest.fixture(scope="module", autouse=True)
def of_one_block():
    """Build networks of one residual block; not for the session, whose other tests need more."""
    with one_block():
        yield


# What follows is made before `of_one_block`, since it is made once per session.


@pytest.fixture(scope="session")
def base(events, tmp_path_factory):
    """Write a deterministic network."""
    out = tmp_path_factory.mktemp("models") / "base"
    with one_block():
        write_light_model(out, read_dataset_info(events), head="deterministic")
    return out


@pytest.fixture(scope="session")
def trunk(base) -> Trunk:
    with one_block():
        return Trunk.open(base)


@pytest.fixture(scope="session")
def clips(trunk, events) -> Clips:
    with one_block():
        return trunk.clips(events)


@pytest.fixture
def eager(monkeypatch):
    """Run compiled functions line by line, which takes less time than tracing them."""
    with eagerly(monkeypatch):
        yield
