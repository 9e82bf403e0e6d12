"""Fixtures that several test modules share."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Finds a set of real recordings, which is too large to travel with the tests."""
    folder = Path(os.environ.get("VIPANN_TF_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        if not (folder / name).is_dir():
            pytest.skip(
                f"needs the recordings {name}, neither in the folder that VIPANN_TF_DATA names nor "
                "in ../shared/data"
            )
        return folder / name

    return find


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="record tests/goldens anew")
    parser.addoption(
        "--strict-goldens", action="store_true", help="compare training losses to 1e-6, too"
    )


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Splits the CPU before a module that may use TensorFlow is imported, and makes a tensor.

    Sessions of other tests do not pay for TensorFlow's import.
    """
    if isinstance(collector, pytest.Module) and b"tensorflow" in collector.path.read_bytes():
        _split_the_cpu()


@functools.cache
def _split_the_cpu() -> None:
    """Makes two logical devices of the CPU, so that tests of replicas run anywhere.

    Nothing but those tests sees the second one.
    """
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [device, device])
