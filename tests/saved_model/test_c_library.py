"""The SavedModel without Python: loaded and run by TensorFlow's C library, as a server does."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import other_tensorflow
from tests.helpers.exported_models import (
    CLOSE,
    KINDS,
    LABELS,
    NUM_DRAWS,
    SEED,
    Exported,
    small_info,
    small_model,
)
from tests.helpers.paths import ROOT
from vipann_tf.models.draw_statistics import estimate_statistics
from vipann_tf.saved_model.ensembling import ensemble
from vipann_tf.saved_model.export import export

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("ask_savedmodel.c")
TENSORFLOW = Path(tf.__file__).parent
LIBRARY = TENSORFLOW / "libtensorflow_cc.so.2"
FRAMEWORK = TENSORFLOW / "libtensorflow_framework.so.2"


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("needs a C compiler (cc, or the one that CC names), which is not here")
    header = TENSORFLOW / "include" / "tensorflow" / "c" / "c_api.h"
    for file in (LIBRARY, FRAMEWORK, header):
        if not file.exists():
            pytest.skip(f"needs {file.name}, which this TensorFlow wheel does not ship")
    path = tmp_path_factory.mktemp("c") / "ask_savedmodel"
    subprocess.run(
        [
            compiler,
            "-O1",
            str(SOURCE),
            "-o",
            str(path),
            f"-I{TENSORFLOW / 'include'}",
            str(LIBRARY),
            str(FRAMEWORK),
            f"-Wl,-rpath,{TENSORFLOW}",
        ],
        check=True,
    )
    return path


def read_graph(version: Path):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (version / "saved_model.pb").read_bytes()
    return saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]


class Asker:
    """Requests for one model, asked of the C program together."""

    def __init__(self, program: Path, version: Path):
        self._signatures = read_graph(version).signature_def
        self._command = [str(program), str(version)]
        self._requests = b""
        self._count = 0

    def add(self, signature: str, waveform: np.ndarray, output: str) -> None:
        definition = self._signatures[signature]
        feed = definition.inputs["waveform"].name.split(":")[0]
        fetch, index = definition.outputs[output].name.split(":")
        dims = " ".join(map(str, waveform.shape))
        self._requests += f"{feed} {fetch} {index} {waveform.ndim} {dims}\n".encode()
        self._requests += np.ascontiguousarray(waveform, np.float32).tobytes()
        self._count += 1

    def answers(self) -> list[np.ndarray | str]:
        """For each request its values, flat, or the text of its error."""
        environment = {"PATH": os.environ.get("PATH", ""), "TF_CPP_MIN_LOG_LEVEL": "3"}
        result = subprocess.run(
            self._command,
            input=self._requests,
            stdout=subprocess.PIPE,
            env=environment,
            timeout=300,
        )
        assert result.returncode == 0
        rest, found = result.stdout, []
        while rest:
            line, rest = rest.split(b"\n", 1)
            kind, text = line.decode("utf-8", "replace").split(" ", 1)
            if kind == "error":
                found.append(text)
            else:
                size = int(text) * 4
                found.append(np.frombuffer(rest[:size], np.float32))
                rest = rest[size:]
        assert len(found) == self._count
        return found


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_the_keras_models(exported, waveforms, program, kind):
    model = exported(kind)
    asker = Asker(program, model.path / "1")
    asker.add("serving_default", waveforms, "probabilities")
    asker.add("serving_default", waveforms, "epistemic")
    asker.add("serving_default", waveforms[2:3], "probabilities")
    asker.add("embed", waveforms[:2], "embedding")
    asker.add("posterior_mean", waveforms[:2], "logits")
    together, epistemic, alone, embedding, logits = asker.answers()
    expected = model.expected(waveforms)
    close = {"rtol": 0, "atol": 1e-5}
    together = together.reshape(7, len(LABELS))
    np.testing.assert_allclose(together, expected.probabilities, **close)
    np.testing.assert_allclose(epistemic, expected.epistemic, **close)
    np.testing.assert_allclose(alone, together[2], **close)
    expected = model.keras.run(tf.constant(waveforms[:2]), stop="embedding").numpy()
    limit = 1e-5 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(embedding.reshape(2, -1), expected, rtol=0, atol=limit)
    expected = model.keras(tf.constant(waveforms[:2]), training=False).numpy()
    limit = 1e-5 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(logits.reshape(2, -1), expected, rtol=0, atol=limit)


@pytest.fixture(scope="module")
def with_statistics(tmp_path_factory, waveforms):
    """A Flipout model whose draws have BatchNorm statistics of their own."""
    model = small_model("flip")
    path = tmp_path_factory.mktemp("statistics") / "own"
    shared = model.run(tf.constant(waveforms), stop="shared")
    model.draw_statistics = estimate_statistics(model, [shared], num_draws=NUM_DRAWS, seed=SEED)
    info = small_info(model, batch_norm="draw")
    export(model, path, info, LABELS)
    return Exported(model, path, info, {})


def test_statistics_of_draws(with_statistics, waveforms, program):
    asker = Asker(program, with_statistics.path / "1")
    asker.add("serving_default", waveforms[:2], "probabilities")
    asker.add("serving_default", waveforms[:2], "epistemic")
    probs, epistemic = asker.answers()
    expected = with_statistics.expected(waveforms[:2])
    np.testing.assert_allclose(probs.reshape(2, -1), expected.probabilities, rtol=0, atol=1e-5)
    np.testing.assert_allclose(epistemic, expected.epistemic, rtol=0, atol=1e-5)


def test_an_ensemble(with_statistics, exported, waveforms, program, tmp_path):
    """Both members draw alike often, so that its probabilities are the mean of theirs."""
    members = [with_statistics.path, exported("det").path]
    asker = Asker(program, ensemble(members, tmp_path / "ensemble"))
    asker.add("serving_default", waveforms[:2], "probabilities")
    (probs,) = asker.answers()
    first, second = with_statistics.expected(waveforms[:2]), exported("det").expected(waveforms[:2])
    expected = (first.probabilities + second.probabilities) / 2
    np.testing.assert_allclose(probs.reshape(2, -1), expected, rtol=0, atol=1e-5)


def test_bad_requests_are_told_apart_and_survived(exported, waveforms, program):
    """A session does not compare a request with the signature: even the rank may be wrong."""
    model = exported("det-flip")
    good = waveforms[:1]
    nan = np.where(np.arange(good.size) == 9, np.nan, good).astype(np.float32)
    bad = {
        "waveform must have two axes, [batch, samples]; its shape is": [good[0], good[np.newaxis]],
        "waveform has no rows: the batch is empty": [good[:0]],
        "waveform is too short: send at least 32000 samples": [good[:, :16000]],
        "waveform holds NaN or infinite samples": [nan],
    }
    asker = Asker(program, model.path / "1")
    asker.add("serving_default", good, "probabilities")
    for waveform in (waveform for alike in bad.values() for waveform in alike):
        asker.add("serving_default", waveform, "probabilities")
        asker.add("serving_default", good, "probabilities")
    first, *rest = asker.answers()
    errors, goods = rest[::2], rest[1::2]
    texts = [text for text, alike in bad.items() for _ in alike]
    for text, error in zip(texts, errors, strict=True):
        assert isinstance(error, str) and error.startswith("3 "), error  # INVALID_ARGUMENT
        assert text in error
    for answer in goods:
        np.testing.assert_array_equal(answer, first)


@pytest.fixture(scope="module")
def from_elsewhere(tmp_path_factory) -> Path:
    """A folder of SavedModels that another TensorFlow exported, and of what they said there."""
    python = other_tensorflow.find()
    if python is None:
        pytest.skip("needs .venv or .venv-io with another TensorFlow (make install, make test-io)")
    out = tmp_path_factory.mktemp("elsewhere")
    command = [python, "-m", "tests.helpers.other_tensorflow", out]
    # The other Python has packages of its own.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_another_tensorflow(from_elsewhere, program, kind):
    """Servers are often older than what exported their model: it loads, and answers the same.

    By the C library, as a server has it, and by this TensorFlow in Python.
    """
    version = from_elsewhere / kind / "1"
    assert read_graph(version).meta_info_def.tensorflow_version != tf.__version__
    expected = np.load(from_elsewhere / f"{kind}.npz")
    found = other_tensorflow.answers(tf.saved_model.load(str(version)))
    assert found.keys() == set(expected.files) and len(found) > 20
    for name, values in found.items():
        limit = 1e-5 * max(1.0, np.abs(expected[name]).max())
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)
    clips = other_tensorflow.requests()["embed"]["waveform"]
    asker = Asker(program, version)
    asker.add("serving_default", clips, "probabilities")
    asker.add("serving_default", clips[1:2], "epistemic")
    probs, epistemic = asker.answers()
    expected_probs = expected["serving_default/probabilities"]
    np.testing.assert_allclose(probs.reshape(expected_probs.shape), expected_probs, **CLOSE)
    np.testing.assert_allclose(epistemic, expected["serving_default/epistemic"][1:2], **CLOSE)
