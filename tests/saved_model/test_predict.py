"""Answers about files: from the SavedModel in this process, and from a server over gRPC."""

import runpy

import click.testing
import numpy as np
import pytest
import soundfile

from tests.helpers.exported_models import NUM_DRAWS
from tests.helpers.model_service import serving
from tests.helpers.paths import CLIENT
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.saved_model import server as server_module
from vipann_tf.saved_model.connection import BATCH, connect, model_name
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.predict import Answer, Predictor, Refusal
from vipann_tf.saved_model.server import Server

CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture
def sounds(waveforms, tmp_path):
    """Paths of seven files of the same length, float32 so that they hold the waveforms exactly."""
    paths = [tmp_path / f"{i}.wav" for i in range(7)]
    for path, waveform in zip(paths, waveforms, strict=True):
        soundfile.write(path, waveform, 32000, subtype="FLOAT")
    return paths


class TestFiles:
    @pytest.mark.parametrize("kind", ["flip", "det-flip", "drop", "det"])
    def test_as_the_keras_model_alone_and_together(self, exported, waveforms, sounds, kind):
        model = exported(kind)
        predictor = Predictor(connect(model.path))
        expected = model.expected(waveforms)
        for i, answer in enumerate(predictor.answer(sounds)):
            assert answer.path == str(sounds[i])
            assert answer.seconds == pytest.approx(40123 / 32000)
            np.testing.assert_allclose(answer.probabilities, expected.probabilities[i], **CLOSE)
            np.testing.assert_allclose(answer.label_epistemic, expected.label_epistemic[i], **CLOSE)
            for name in ("total", "aleatoric", "epistemic"):
                assert getattr(answer, name) == pytest.approx(
                    float(getattr(expected, name)[i]), abs=1e-5
                )
        (alone,) = predictor.answer(sounds[3:4])
        np.testing.assert_allclose(alone.probabilities, expected.probabilities[3], **CLOSE)

    def test_chosen_draws(self, exported, waveforms, sounds):
        model = exported("det-flip")
        (answer,) = Predictor(connect(model.path, num_draws=2, seed=4)).answer(sounds[:1])
        expected = model.expected(waveforms[:1], num_draws=2, seed=4)
        np.testing.assert_allclose(answer.probabilities, expected.probabilities[0], **CLOSE)
        for samples in (0, 1001):
            with pytest.raises(UserError, match=f"num_draws is {samples}; use 1 to 1000"):
                connect(model.path, num_draws=samples)

    def test_bad_files_do_not_keep_others_from_their_answers(self, exported, sounds, tmp_path):
        text = tmp_path / "notes.txt"
        text.write_text("no sound")
        missing = tmp_path / "missing.wav"
        answers = Predictor(connect(exported("det").path)).answer(
            [missing, *sounds[:2], text, *sounds]
        )
        assert [type(a) for a in answers] == [Refusal, Answer, Answer, Refusal] + 7 * [Answer]
        assert "missing-file: no file at" in answers[0].error
        assert "undecodable" in answers[3].error
        assert len(answers) > BATCH
        np.testing.assert_allclose(answers[1].probabilities, answers[4].probabilities, **CLOSE)

    def test_a_short_file_is_followed_by_silence(self, exported, waveforms, tmp_path):
        model, path = exported("det"), tmp_path / "short.wav"
        soundfile.write(path, waveforms[0, :20_000], 32000, subtype="FLOAT")
        (answer,) = Predictor(connect(model.path)).answer([path])
        assert answer.seconds == pytest.approx(0.625)
        padded = np.pad(waveforms[:1, :20_000], [(0, 0), (0, 12_000)])
        np.testing.assert_allclose(
            answer.probabilities, model.expected(padded).probabilities[0], **CLOSE
        )

    def test_the_command(self, exported, sounds, tmp_path):
        result = click.testing.CliRunner().invoke(
            main, ["predict", str(exported("det").path), str(sounds[0]), str(tmp_path / "none.wav")]
        )
        assert result.exit_code == 1
        assert "0.wav" in result.stdout
        assert "none.wav: missing-file: no file at" in result.output

    def test_the_export_command(self, exported, waveforms, sounds, tmp_path):
        model, out = exported("det-flip"), tmp_path / "served"
        arguments = [
            "export",
            str(model.path),
            "--out",
            str(out),
            "--num-draws",
            "2",
            "--seed",
            "6",
        ]
        arguments += [
            "--precision",
            "float32",
            "--draw-storage",
            "stored",
            "--seconds",
            "2",
            "--version",
            "4",
        ]
        result = click.testing.CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert f"{out / '4'}: ResNet-22" in result.output
        info = read_model_info(out)
        assert (info.num_draws, info.seed, info.draw_storage, info.fixed_seconds) == (
            2,
            6,
            "stored",
            2.0,
        )
        # A shorter file is followed by silence, a longer one is not cut in secret.
        long = tmp_path / "long.wav"
        soundfile.write(long, np.full(80_000, 0.1), 32000)
        short, refused = Predictor(connect(out)).answer([sounds[0], long])
        padded = np.pad(waveforms[:1], [(0, 0), (0, 64_000 - waveforms.shape[1])])
        expected = model.expected(padded, num_draws=2, seed=6)
        np.testing.assert_allclose(short.probabilities, expected.probabilities[0], **CLOSE)
        assert "it is 2.5 s long, and this model was exported for 2 s" in refused.error


def test_the_served_name(exported):
    path = exported("det").path
    assert model_name(path) == model_name(path / "1") == "det"


class TestServer:
    """Against a gRPC server with TensorFlow Serving's protos, which answers by the SavedModel."""

    @pytest.fixture
    def serve(self, exported):
        with serving("det-flip", lambda: exported("det-flip").signatures) as service:
            yield service

    def test_as_the_local_model(self, serve, exported, waveforms, sounds):
        model = exported("det-flip")
        answers = Predictor(connect(model.path, server=serve.address)).answer(sounds)
        expected = model.expected(waveforms)
        for i, answer in enumerate(answers):
            np.testing.assert_allclose(answer.probabilities, expected.probabilities[i], **CLOSE)
        (request,) = serve.requests
        # A server with request batching takes this signature and no scalars.
        assert request.model_spec.signature_name == "serving_default"
        assert set(request.inputs) == {"waveform"}
        (answer,) = Predictor(connect(model.path, server=serve.address, seed=77)).answer(sounds[:1])
        expected = model.expected(waveforms[:1], num_draws=NUM_DRAWS, seed=77)
        np.testing.assert_allclose(answer.probabilities, expected.probabilities[0], **CLOSE)

    def test_the_client_in_deploy(self, serve, exported, waveforms, tmp_path, capsys):
        sound = str(tmp_path / "16_bits.wav")
        soundfile.write(sound, waveforms[0], 32000, subtype="PCM_16")
        client = runpy.run_path(str(CLIENT))
        answer = client["ask"](serve.address, "det-flip", sound)
        (expected,) = Predictor(connect(exported("det-flip").path)).answer([sound])
        np.testing.assert_allclose(answer["probabilities"], expected.probabilities, **CLOSE)
        client["main"](serve.address, "det-flip", sound)
        assert f"epistemic {expected.epistemic:.3f} nats" in capsys.readouterr().out
        soundfile.write(sound, waveforms[0], 32001)
        with pytest.raises(SystemExit, match="16_bits.wav: .* multiple of 25 Hz .* it is 32001"):
            client["main"](serve.address, "det-flip", sound)

    def test_a_request_over_grpcs_usual_limit(self, serve, exported, tmp_path):
        path = tmp_path / "long.wav"
        soundfile.write(path, np.full(40 * 32_000, 0.1), 32000)  # 5 MB of float32
        (answer,) = Predictor(connect(exported("det-flip").path, server=serve.address)).answer(
            [path]
        )
        assert isinstance(answer, Answer) and answer.seconds == 40

    def test_what_passes_is_tried_again(self, serve, exported, sounds, monkeypatch):
        monkeypatch.setattr(server_module, "FIRST_PAUSE_S", 0.01)
        codes = serve.codes
        serve.failures += [
            (codes.UNAVAILABLE, "starting"),
            (codes.RESOURCE_EXHAUSTED, "queue full"),
        ]
        mixed = (
            "Tensors with name 'x' from different tasks have different shapes and padding is off"
        )
        serve.failures.append((codes.FAILED_PRECONDITION, mixed))
        (answer,) = Predictor(connect(exported("det-flip").path, server=serve.address)).answer(
            sounds[:1]
        )
        assert isinstance(answer, Answer)
        assert len(serve.requests) == 4

    def test_a_refused_request_is_the_files_error(self, serve, exported, sounds):
        serve.failures.append((serve.codes.INVALID_ARGUMENT, "Task size 2 is larger than maximum"))
        predictor = Predictor(connect(exported("det-flip").path, server=serve.address))
        answers = predictor.answer(sounds[:2])
        assert {refusal.error for refusal in answers} == {"Task size 2 is larger than maximum"}
        assert len(serve.requests) == 1  # it would be refused again
        assert isinstance(predictor.answer(sounds[:1])[0], Answer)

    def test_errors_for_the_user(self, serve, exported, sounds):
        path = exported("det-flip").path

        def answer(address, deadline_s=30.0):
            return Predictor(connect(path, server=address, deadline_s=deadline_s)).answer(
                sounds[:1]
            )

        with pytest.raises(UserError, match="has no model 'other' .*--server HOST:PORT/NAME"):
            answer(f"{serve.address}/other")
        serve.failures.append((serve.codes.INTERNAL, "broken"))
        with pytest.raises(UserError, match=r"failed \(INTERNAL: broken\)"):
            answer(serve.address)
        with pytest.raises(
            UserError, match=r"localhost:1 did not answer in 0.5 s \((UNAVAIL|DEADLINE)"
        ):
            answer("localhost:1", 0.5)
        serve.silent.set()
        with pytest.raises(UserError, match=r"did not answer in 0.4 s \(DEADLINE_EXCEEDED"):
            answer(serve.address, 0.4)
        for address in ("localhost", "localhost:", ":8500", "localhost:http"):
            with pytest.raises(UserError, match="use HOST:PORT, such as localhost:8500"):
                Server(address, "x")
        with pytest.raises(UserError, match="--deadline is 0; use a number of seconds above 0"):
            Server("localhost:8500", "x", deadline_s=0)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_serving", None)
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_serving.apis", None)
    with pytest.raises(
        UserError, match=r"needs tensorflow-serving-api.*pip install 'vipann-tf\[serving\]'"
    ):
        Server("localhost:8500", "x")
