"""Recorded answers in JSON files."""

import json
import pathlib

import pytest


def check_json(file: pathlib.Path, found: dict, request, *, may_grow: bool = False) -> None:
    """Compare numbers to 1e-6 and everything else exactly, or record them.

    If the document may grow, what was recorded must still be there, but keys that a later version
    added are not compared.
    """
    if request.config.getoption("--record"):
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    recorded = json.loads(file.read_text(encoding="utf-8"))
    if may_grow:
        found = _known_part(found, recorded)
    assert found == approximately(recorded)


def _known_part(found, recorded):
    """Returns what was found without the keys that were not recorded."""
    if isinstance(found, dict) and isinstance(recorded, dict):
        return {key: _known_part(found[key], recorded[key]) for key in recorded if key in found}
    if isinstance(found, list) and isinstance(recorded, list) and len(found) == len(recorded):
        return [_known_part(*pair) for pair in zip(found, recorded, strict=True)]
    return found


def approximately(value):
    if isinstance(value, dict):
        return {key: approximately(item) for key, item in value.items()}
    if isinstance(value, list):
        return [approximately(item) for item in value]
    return pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value
