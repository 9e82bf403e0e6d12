"""Fixtures that several test modules share."""

import functools
import pathlib

import pytest


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The directory of real recordings and golden files beside the repository."""
    path = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs ../shared (real recordings and golden files), which is not here")
    return path


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
