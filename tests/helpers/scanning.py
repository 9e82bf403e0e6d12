"""Scans by the command line, and their rows."""

import contextlib

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from vipann_tf.cli import main
from vipann_tf.scans import plan


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["scan", *map(str, arguments)])


@contextlib.contextmanager
def small_units():
    """Units of eight seconds, so that a short season has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "UNIT_S", 8.0)
        yield


def rows(out):
    """All windows of a scan, as columns."""
    return pq.read_table(out / "windows").to_pydict()


def same(first, second):
    """The rows of two scans are equal."""
    first, second = rows(first), rows(second)
    assert first.keys() == second.keys()
    assert first["recording"] == second["recording"] and first["start_s"] == second["start_s"]
    for name in first:
        if name.startswith("time"):
            assert first[name] == second[name]
        elif name != "recording":
            np.testing.assert_allclose(first[name], second[name], atol=1e-6)
