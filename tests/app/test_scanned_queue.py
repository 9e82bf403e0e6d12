"""The windows of a scan as a queue: heard as they were scanned, and a journal beside the scan."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from tests.helpers.recordings import events, wav
from vipann_tf.app.run import open_session
from vipann_tf.app.server import Access, application
from vipann_tf.audio.decoding import read_audio
from vipann_tf.cli import main


@pytest.fixture(scope="module")
def scan(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("season")
    (folder / "one.wav").write_bytes(wav(events(4.3)))
    arguments = ["scan", str(model), str(folder / "one.wav"), "--out", str(folder / "scan")]
    result = CliRunner().invoke(main, [*arguments, "--embeddings"])
    assert result.exit_code == 0, result.output
    return folder / "scan"


@pytest.mark.slow
def test_windows_are_labelled_where_they_are(model, scan, recipe):
    session = open_session(model, scan=scan, recipe=recipe)
    found = session.next_clip("ann", False)
    length_s = found["end_s"] - found["start_s"]
    assert found["seconds"] == pytest.approx(length_s) == pytest.approx(1.0)
    [waveform] = [clip.read() for clip in session.labelling.clips[:1]]
    expected = read_audio(found["filename"], 32_000, found["start_s"], length_s)
    np.testing.assert_array_equal(waveform, expected)
    session.answer(found["clip"], "ann", "labels", ["owl"])
    with open(scan / "labels" / "labels.csv", encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["filename"], row["labels"]) == (found["filename"], "owl")
    assert float(row["start_s"]) == found["start_s"] and float(row["end_s"]) == found["end_s"]
    again = open_session(model, scan=scan, recipe=recipe)  # its windows are found again
    assert again.clip(0, "ann")["mine"]["labels"] == ("owl",)
    assert "Nothing can be learnt here without --data" in again.note


def test_another_model_than_the_one_of_the_scan_is_told(model, scan, recipe):
    assert open_session(model, scan=scan, recipe=recipe).notices == []
    file = scan / "scan.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    assert state["model"].startswith(str(model))
    try:
        changed = {**state, "settings": {**state["settings"], "model": "0" * 32}}
        file.write_text(json.dumps(changed), encoding="utf-8")
        session = open_session(model, scan=scan, recipe=recipe)
    finally:
        file.write_text(json.dumps(state), encoding="utf-8")
    [notice] = session.notices
    assert (notice.path, notice.kind) == (str(scan), "other-model")
    assert (
        f"ranked by another model, {state['model']}, and are answered by {model}" in notice.detail
    )
    client = TestClient(application(session, Access(("testserver",))))
    assert "ranked by another model" in client.get("/").text
