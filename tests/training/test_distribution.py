"""Several devices and several processes, against one device on the same global batch."""

import signal

import pytest
import tensorflow as tf

from tests.helpers.distributed_trainings import TIMEOUT_S, Trainings, check_same, finish
from tests.helpers.tiny_training import pretrain_recipe, shallow, stand_ins
from vipann_tf.errors import UserError
from vipann_tf.training.distribution import distribute, is_chief, is_multiworker, make_distribution
from vipann_tf.training.pretrain import pretrain

pytestmark = pytest.mark.slow


def test_devices(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for devices in ("auto", "none"):
        distribution = make_distribution(devices)
        assert distribution.num_replicas_in_sync == 1
        assert is_chief(distribution) and not is_multiworker(distribution)
    assert isinstance(make_distribution("mirrored"), tf.distribute.MirroredStrategy)
    with pytest.raises(UserError, match="devices is 'multiworker' but TF_CONFIG is not set"):
        make_distribution("multiworker")
    with pytest.raises(
        UserError, match="devices is 'all'; allowed are auto, none, mirrored, multiworker"
    ):
        make_distribution("all")


def test_one_device_gets_whole_batches():
    batches = tf.data.Dataset.range(12).batch(6)
    assert [
        x.tolist() for x in distribute(make_distribution("none"), batches, 6).as_numpy_iterator()
    ] == [
        [0, 1, 2, 3, 4, 5],
        [6, 7, 8, 9, 10, 11],
    ]


@pytest.fixture(scope="module")
def base(tagging, tmp_path_factory):
    """Pretrain a Flipout network of one residual block."""
    out = tmp_path_factory.mktemp("distributed") / "base"
    with pytest.MonkeyPatch.context() as patch:
        stand_ins(patch.setattr)
        shallow(patch.setitem)
        pretrain(pretrain_recipe("flipout"), tagging, out)
    return out


@pytest.fixture(scope="module")
def heads(bases, events, tmp_path_factory):
    return Trainings("head", bases["deterministic"], events, tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def trunks(base, events, tmp_path_factory):
    return Trainings("trunk", base, events, tmp_path_factory.mktemp("trunks"))


@pytest.fixture
def shallow_networks(monkeypatch):
    shallow(monkeypatch.setitem)


@pytest.fixture(scope="module")
def one_device(trunks):
    with pytest.MonkeyPatch.context() as patch:
        shallow(patch.setitem)
        return trunks.run("one", "none")


def needs_two_devices() -> None:
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("the CPU was not split into two devices before TensorFlow started")


def test_two_devices_train_a_head(heads):
    """On cached features, whose dataset is another one."""
    needs_two_devices()
    check_same(heads.run("two", "mirrored"), heads.run("one", "none"))


@pytest.mark.usefixtures("shallow_networks")
def test_two_devices_train_all(trunks, one_device):
    needs_two_devices()
    check_same(trunks.run("two", "mirrored"), one_device)


@pytest.mark.usefixtures("shallow_networks")
def test_two_workers(trunks, one_device):
    """One loses the other on the way; started again, they end as one device."""
    first, second = trunks.pair("workers", kill_at=8)
    assert second.wait(timeout=TIMEOUT_S) == -signal.SIGKILL
    output, _ = first.communicate(timeout=TIMEOUT_S)
    assert first.returncode == 1, output[-3000:]
    (line,) = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert "worker 1 was lost; see its output, then start all workers again" in line

    outputs = [finish(process) for process in trunks.pair("workers")]
    assert "transfer flip" in outputs[0] and "flip" not in outputs[1]  # one of them reports
    check_same(trunks.folder / "workers", one_device)
