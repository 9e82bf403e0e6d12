"""The real TensorFlow Serving, over gRPC and REST, where it is installed."""

import base64
import json
import os
import runpy
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from tests.helpers.exported_models import CLOSE
from tests.helpers.paths import CLIENT, DEPLOY
from tests.helpers.wav_files import wav_bytes
from vipann_tf.saved_model.server import RequestRefused, Server

pytestmark = pytest.mark.slow

VARIABLE = "TENSORFLOW_MODEL_SERVER"
BATCHING = DEPLOY / "batching_parameters.txt"
START_S = 120
PROGRAM = os.environ.get(VARIABLE) or shutil.which("tensorflow_model_server")
if PROGRAM is None:
    pytest.skip(
        f"needs tensorflow_model_server on the PATH, or named by {VARIABLE}",
        allow_module_level=True,
    )
pytest.importorskip("tensorflow_serving.apis", reason="needs the extra `serving`")


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    """(model, gRPC client, REST address) of a server with request batching."""
    model = exported("det-flip")
    grpc_port, rest_port = free_port(), free_port()
    rest = f"http://localhost:{rest_port}/v1/models/det-flip"
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [PROGRAM, f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
    command += ["--model_name=det-flip", f"--model_base_path={model.path}"]
    command += ["--enable_batching=true", f"--batching_parameters_file={BATCHING}"]
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START_S
        while not available(rest):
            running = process.poll() is None and time.monotonic() < end
            assert running, log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)
        yield model, Server(f"localhost:{grpc_port}", "det-flip"), rest
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def available(rest: str) -> bool:
    try:
        with urllib.request.urlopen(rest, timeout=2) as answer:
            return b"AVAILABLE" in answer.read()
    except OSError:  # not listening yet, or 404 before the version is there
        return False


def post(rest: str, body: dict) -> dict:
    request = urllib.request.Request(f"{rest}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_grpc(served, waveforms):
    model, client, _ = served
    answer = client.ask("serving_default", {"waveform": waveforms})
    np.testing.assert_allclose(
        answer["probabilities"], model.expected(waveforms).probabilities, **CLOSE
    )


def test_the_client_in_deploy(served, tmp_path):
    _model, client, _ = served
    sound = tmp_path / "a.wav"
    sound.write_bytes(wav_bytes(np.random.default_rng(0).normal(0, 0.1, 50_000), 32000))
    answer = runpy.run_path(str(CLIENT))["ask"](client.address, "det-flip", str(sound))
    by_us = client.ask("wav", {"wav": np.array([sound.read_bytes()], object)})
    np.testing.assert_allclose(answer["probabilities"], by_us["probabilities"][0], **CLOSE)


def test_rest_rows(served, waveforms):
    model, _, rest = served
    rows = post(rest, {"instances": [{"waveform": waveforms[0].tolist()}]})["predictions"]
    expected = model.expected(waveforms[:1]).probabilities[0]
    np.testing.assert_allclose(rows[0]["probabilities"], expected, **CLOSE)


def test_rest_wav(served):
    _, client, rest = served
    content = wav_bytes(np.random.default_rng(0).normal(0, 0.1, 50_000), 44100)
    instance = {"wav": {"b64": base64.b64encode(content).decode()}}
    rows = post(rest, {"signature_name": "wav", "instances": [instance]})["predictions"]
    by_grpc = client.ask("wav", {"wav": np.array([content], object)})
    np.testing.assert_allclose(rows[0]["probabilities"], by_grpc["probabilities"][0], **CLOSE)


def test_a_bad_request_is_explained_and_the_next_is_answered(served, waveforms):
    _, client, rest = served
    with pytest.raises(RequestRefused, match="waveform is too short: send at least 32000 samples"):
        client.ask("serving_default", {"waveform": waveforms[:1, :100]})
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(rest, {"instances": [{"waveform": [0.0] * 100}]})
    assert caught.value.code == 400
    assert b"waveform is too short" in caught.value.read()
    assert np.isfinite(client.ask("serving_default", {"waveform": waveforms[:1]})["total"]).all()
