"""Fixtures that several test modules share."""

import pathlib

import pytest


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The directory of real recordings and golden files beside the repository."""
    path = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs ../shared (real recordings and golden files), which is not here")
    return path
