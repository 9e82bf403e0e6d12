"""What the tests of preparations share."""

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def importable_in_workers(monkeypatch):
    """Worker processes find the functions that tests hand to them."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
