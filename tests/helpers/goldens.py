"""Recorded answers in JSON files."""

import json
import pathlib

import pytest


def check_json(file: pathlib.Path, found: dict, request) -> None:
    """Compare numbers to 1e-6 and everything else exactly, or record them."""
    if request.config.getoption("--record"):
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    assert found == approximately(json.loads(file.read_text(encoding="utf-8")))


def approximately(value):
    if isinstance(value, dict):
        return {key: approximately(item) for key, item in value.items()}
    if isinstance(value, list):
        return [approximately(item) for item in value]
    return pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value
