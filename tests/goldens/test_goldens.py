"""What the package answered, lost, wrote and scored at commit 7b00b1f, and must go on to.

The files beside this one were recorded by that commit. A change that is meant to change numbers
records them anew, and says so in docs/decisions.md:

    python -m pytest tests/goldens --record

Where TensorFlow chooses other kernels (another processor, TF_ENABLE_ONEDNN_OPTS=0) sums are rounded
otherwise: answers then differ by up to 7e-7 of the largest, losses after twenty steps by 3e-5. On
one machine, before and after a change, `--strict-goldens` compares to 1e-6.
"""

import hashlib
import io
import json
import pathlib
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tests.helpers import tiny_training
from tests.helpers.goldens import check_json
from vipann_tf import datasets
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.records.prepare import prepare
from vipann_tf.saved_model.load import load_signatures
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.transfer import transfer

HERE = pathlib.Path(__file__).parent
CLIPS = HERE / "clips"
MODEL = HERE.parents[1] / "saved_models" / "esc10-drop"
SECONDS = 1.15
KINDS = ("deterministic", "dropout", "flipout")
STRATEGIES = {
    "det": "deterministic",
    "drop": "dropout",
    "flip": "flipout",
    "det-flip": "deterministic",
}
SETTINGS = ("training.steps=20", "optimizer.learning_rate=1e-5")


@pytest.fixture(scope="session")
def golden(request):
    """Function of a file name and values that compares them, or records them with `--record`."""

    def compare(name: str, values: dict[str, np.ndarray], other_kernels: float = 2e-6) -> None:
        tolerance = 1e-6 if request.config.getoption("--strict-goldens") else other_kernels
        file = HERE / name
        if request.config.getoption("--record"):
            np.savez_compressed(file, **values)
            return
        with np.load(file) as recorded:
            assert sorted(recorded) == sorted(values)
            for key in recorded:
                scale = np.abs(recorded[key]).max()
                np.testing.assert_allclose(
                    values[key] / scale, recorded[key] / scale, 0, tolerance, err_msg=key
                )

    return compare


@pytest.fixture(scope="session")
def waveforms() -> np.ndarray:
    """Six of the clips, float32 [6, 37000]."""
    files = sorted((CLIPS / "audio").glob("*.flac"))[:6]
    return np.stack([soundfile.read(file, dtype="float32")[0] for file in files])


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> dict[str, pathlib.Path]:
    """The clips as a multiclass and as a multilabel dataset directory."""
    out = tmp_path_factory.mktemp("prepared")
    # A source's path stands in rejected.csv.
    shutil.copytree(CLIPS, out / "clips")
    sources = {
        "esc10": datasets.load("esc50", out / "clips", subset="esc10"),
        "csv": datasets.load("csv", out / "clips" / "labels.csv"),
    }
    for name, source in sources.items():
        prepare(source, out / name, seconds=SECONDS, shards=2, workers=1)
    return {name: out / name for name in sources}


@pytest.fixture(scope="session")
def trained(tmp_path_factory, prepared) -> dict[str, pathlib.Path]:
    """Model directories of twenty steps: one pretrained of each kind, one of each strategy."""
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        tiny_training.shallow(patch.setitem)
        tiny_training.export_without_graph(patch)
        for kind in KINDS:
            recipe = tiny_training.pretrain_recipe(kind, *SETTINGS, "augment.mixup_alpha=0.5")
            pretrain(recipe, prepared["csv"], out / kind)
        for strategy, base in STRATEGIES.items():
            settings = [*SETTINGS, "data.train=[fold5]", "optimizer.ema_momentum=0.9"]
            recipe = tiny_training.transfer_recipe(strategy, "finetune", *settings)
            transfer(recipe, out / base, prepared["esc10"], out / strategy)
    return {name: out / name for name in (*KINDS, *STRATEGIES)}


def as_wav(waveform: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, waveform, 32000, "PCM_16", format="WAV")
    return file.getvalue()


@pytest.mark.slow
def test_shipped_models_signatures_answer_as_they_did(waveforms, golden):
    loaded = load_signatures(MODEL)
    ask = {
        "serving_default": {"waveform": waveforms},
        "monte_carlo": {"waveform": waveforms, "num_samples": np.int32(7), "seed": np.int64(5)},
        "wav": {"wav": [as_wav(waveform) for waveform in waveforms]},
        "posterior_mean": {"waveform": waveforms},
        "embed": {"waveform": waveforms},
    }
    values = {}
    for signature, inputs in ask.items():
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        answer = loaded.signatures[signature](**inputs)
        assert set(answer.pop("status", tf.constant([""])).numpy()) == {b""}
        for name, value in answer.items():
            values[f"{signature}/{name}"] = value.numpy()
    golden("answers.npz", values)


@pytest.mark.slow
def test_trainings_lose_what_they_lost(trained, golden):
    losses = {
        name: [row["loss"] for row in tiny_training.log_rows(path)]
        for name, path in trained.items()
    }
    assert {len(values) for values in losses.values()} == {20}
    golden("losses.npz", losses, other_kernels=5e-5)


def test_preparation_writes_the_bytes_that_it_wrote(prepared, request):
    hashes = {
        f"{name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for name, directory in prepared.items()
        for file in sorted(directory.iterdir())
    }
    check_json(HERE / "preparation.json", hashes, request)


def test_evaluation_gives_the_metrics_that_it_gave(prepared, tmp_path, request):
    evaluate(MODEL, prepared["esc10"], tmp_path / "out", split="fold5")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    del metrics["model"]
    check_json(HERE / "metrics.json", metrics, request, may_grow=True)
