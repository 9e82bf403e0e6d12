"""The command line: what a user sees, in-process, from a preparation to an answer."""

import csv
import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.paths import RECIPES
from vipann_tf import __version__
from vipann_tf.cli import main

TINY = [
    "--set", "model.depth=22",
    "--set", "model.width=0.0625",
    "--set", "training.steps=2",
    "--set", "training.batch_size=8",
    "--allow-empty-labels",
]  # fmt: skip


def run(*arguments, status=0):
    """Output of a command whose exit status is as expected."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every command of the main job, once, on as little as will do."""
    root = tmp_path_factory.mktemp("cli")
    recipe = root / "recipe.yaml"
    recipe.write_text("model: {kind: deterministic}\n")
    for task, clips in (("multilabel", 24), ("multiclass", 20)):
        options = ["--task", task, "--clips", clips, "--seconds", 1]
        run("prepare", "synthetic", root / task, *options)
    run("pretrain", recipe, "--data", root / "multilabel", "--out", root / "base", *TINY)
    strategy = ["--strategy", "det-flip", "--mode", "fixed", "--test-fold", 5]
    tiny = ["--set", "training.steps=2", "--set", "training.batch_size=8", "--allow-empty-labels"]
    inputs = ["--base", root / "base", "--data", root / "multiclass"]
    run("transfer", *strategy, *inputs, "--out", root / "model", *tiny)
    run("synthesize", root / "clip.wav", "--seconds", 1)
    return root


def test_the_package_runs_as_a_module():
    """Where the folder of scripts is not on the PATH."""
    command = [sys.executable, "-m", "vipann_tf", "--version"]
    shown = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    assert shown == f"vipann-tf, version {__version__}\n"


@pytest.mark.alone
def test_help_is_quick_and_does_not_import_tensorflow():
    code = (
        "import sys, vipann_tf.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    best = np.inf
    for _ in range(3):  # the best of three: others may be using the machine
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        best = min(best, time.monotonic() - start)
    assert best < 0.7, f"{best:.2f} s"


def test_evaluate_prints_and_writes_the_same_numbers(made):
    shown = run(
        "evaluate", made / "model", "--data", made / "multiclass", "--out", made / "results"
    )
    results = json.loads((made / "results" / "metrics.json").read_text())
    assert results["split"] == "fold5"
    assert f"{results['metrics']['accuracy']['value']:.3f}" in shown.output
    # The report says how it was made, whatever process the command ran in.
    directories = (made / "model", made / "multiclass", made / "results")
    assert results["command"] == "vipann-tf evaluate {} --data {} --out {}".format(*directories)
    assert "<html" in (made / "results" / "report.html").read_text()
    assert (made / "results" / "reliability.png").read_bytes()[1:4] == b"PNG"
    with open(made / "results" / "predictions.csv", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == results["clips"] == 4
    probs = [float(rows[0][f"p:{label}"]) for label in results["labels"]]
    assert sum(probs) == pytest.approx(1, abs=1e-4)


def test_predict_formats_agree(made):
    asked = ["predict", made / "model", made / "clip.wav", "--num-draws", 3, "--top", 10]
    answer = json.loads(run(*asked, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(run(*asked, "--format", "csv").stdout)))
    table = run(*asked).stdout
    assert [row["label"] for row in rows] == [label["label"] for label in answer["labels"]]
    assert sum(label["probability"] for label in answer["labels"]) == pytest.approx(1, abs=1e-4)
    assert answer["epistemic"] >= 0
    assert f"{answer['labels'][0]['probability']:.3f}" in table
    assert answer["seconds"] == 1.0


def test_predict_answers_the_good_files_and_names_the_bad(made):
    (made / "text.wav").write_text("not a sound")
    files = [made / "missing.wav", made / "clip.wav", made / "text.wav"]
    result = run("predict", made / "model", *files, "--num-draws", 1, "--format", "csv", status=1)
    assert {row["file"] for row in csv.DictReader(io.StringIO(result.stdout))} == {str(files[1])}
    assert "missing.wav: missing-file" in result.stderr
    assert "text.wav: undecodable" in result.stderr


def test_predict_and_evaluate_agree(made):
    """The SavedModel's draws are the Keras model's."""
    results = made / "agree"
    run(
        "evaluate",
        made / "model",
        "--data",
        made / "multiclass",
        "--out",
        results,
        "--num-draws",
        3,
    )
    from vipann_tf.datasets import synthetic

    with open(results / "predictions.csv", encoding="utf-8", newline="") as lines:
        row = next(csv.DictReader(lines))
    index = next(i for i, clip in enumerate(_fold5(synthetic)) if clip.clip_id == row["clip_id"])
    synthetic.write_wav(made / "same.wav", "multiclass", index, seconds=1.0)
    asked = ["predict", made / "model", made / "same.wav", "--num-draws", 3, "--top", 10]
    answer = json.loads(run(*asked, "--format", "json").stdout)
    for label in answer["labels"]:
        assert label["probability"] == pytest.approx(float(row[f"p:{label['label']}"]), abs=1e-4)


def _fold5(synthetic):
    source = synthetic.source("multiclass", clips=20, seconds=1.0)
    return [clip for clip in source.clips if clip.split == "fold5"]


def test_dry_run_writes_nothing(tmp_path):
    options = ["--task", "multiclass", "--clips", 20, "--seconds", 2, "--dry-run"]
    shown = run("prepare", "synthetic", tmp_path / "out", *options).output
    assert "20 clips of 2 s (0.01 h), 0.00 GB" in shown
    assert "fold5      4" in shown and "whistle" in shown
    assert not list(tmp_path.iterdir())


def test_a_runner_is_named(tmp_path):
    """tests/records/test_beam_job.py gives options to a cluster."""
    out = ["prepare", "synthetic", tmp_path / "out", "--task", "ood", "--clips", 5, "--seconds", 1]
    assert "5 clips" in run(*out, "--runner", "BundleBasedDirectRunner").output
    result = run(*out, "--overwrite", "--runner=NoSuchRunner", status=1)
    assert "NoSuchRunner" in result.stderr
    result = run(*out, "--overwrite", "--wrokers", 2, status=1)
    assert "option --wrokers is unknown" in result.stderr


def test_info_tells_models_from_datasets(made):
    assert "det-flip (fixed)" in run("info", made / "model").output
    assert "flipout head" in run("info", made / "model" / "1").output
    assert "20 clips of 1 s" in run("info", made / "multiclass").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nowhere"], "no model at nowhere: there is no such directory"),
        (["prepare", "synthetic", "a", "b"], "prepare synthetic takes OUT, but 2 paths were given"),
        (["prepare", "esc51", "a", "b"], "dataset 'esc51' is unknown"),
        (["pretrain", "nothing", "--data", "d", "--out", "o"], "no recipe nothing"),
        (["predict", "nowhere", "a.wav"], "no model at nowhere"),
        (
            ["transfer", "--base", "b", "--data", "d", "--out", "o", "--set", "optimiser=1"],
            "unknown key optimiser; did you mean optimizer?",
        ),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, status=1)
    assert result.stderr.startswith("Error: ") and message in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "folder"), [("pretrain", "pretrain"), ("study", "studies")])
def test_a_missing_recipe_is_one_of_those_shipped(command, folder):
    message = run(command, "--out", "o", status=2).stderr.splitlines()[-1]
    before, _, names = message.partition("a shipped recipe: ")
    assert before == "Error: Missing argument 'RECIPE'. Give a YAML file, or "
    shipped = {f"{folder}/{file.stem}" for file in (RECIPES / folder).glob("*.yaml")}
    assert set(names.split(", ")) == shipped and len(shipped) > 3


def test_debug_shows_the_traceback():
    result = CliRunner().invoke(main, ["info", "nowhere", "--debug"])
    assert type(result.exception).__name__ == "UserError"


def test_evaluate_out_of_distribution(made):
    run("prepare", "synthetic", made / "ood", "--task", "ood", "--clips", 10, "--seconds", 1)
    model = ["evaluate", made / "model", "--data", made / "multiclass", "--num-draws", 2]
    shown = run(*model, "--ood", made / "ood", "--out", made / "outside")
    results = json.loads((made / "outside" / "metrics.json").read_text())
    scores = results["ood"]["synthetic-ood"]["scores"]
    assert set(scores) == {"total", "aleatoric", "epistemic", "max_probability", "energy"}
    assert "synthetic-ood: AUROC of epistemic" in shown.output


def test_existing_outputs_are_kept(made):
    again = ["evaluate", made / "model", "--data", made / "multiclass", "--out", made / "base"]
    result = run(*again, status=1)
    assert "base" in result.stderr
    inputs = ["--base", made / "base", "--data", made / "multiclass", "--out", made / "model"]
    result = run("transfer", "--strategy", "det", "--test-fold", 5, *inputs, status=1)
    assert "already has a model" in result.stderr


def test_evaluate_refuses_other_labels(made):
    model = ["evaluate", made / "model", "--data", made / "multilabel", "--out", made / "other"]
    result = run(*model, status=1)
    assert "does not answer the labels of" in result.stderr
    assert not (made / "other").exists()
