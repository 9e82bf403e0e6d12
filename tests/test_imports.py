"""What starts at once: modules that promise to do without TensorFlow are imported without it."""

import pathlib
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

# Packages and modules. A package promises for each of its modules.
PROMISES = [
    "active.settings",
    "audio.decoding",
    "audio.windows",
    "choices",
    "former_names",
    "cli",
    "datasets",
    "downloads",
    "errors",
    "evaluation.calibration_words",
    "evaluation.plain_words",
    "evaluation.report",
    "evaluation.result_files",
    "evaluation.results",
    "evaluation.splits",
    "evaluation.stored_results",
    "evaluation.summary",
    "files",
    "models.architecture",
    "models.objective",
    "recipes",
    "records.beam_job",
    "records.example_proto",
    "records.label_sets",
    "records.local_pool",
    "records.plan",
    "records.prepare",
    "records.schema",
    "records.shards",
    "records.summary",
    "records.tfrecord_file",
    "saved_model.metadata",
    "saved_model.server",
    "saved_model.thresholds",
    "saved_model.versions",
    "scans.clock",
    "scans.page",
    "study.active_jobs",
    "study.arms",
    "study.curves",
    "study.directory",
    "study.grid",
    "study.jobs",
    "study.paper_tables",
    "study.plan",
    "study.recipe",
    "study.table",
    "task",
    "training.processes",
    "training.strategies",
    "uncertainty.bootstrap",
    "uncertainty.calibration",
    "uncertainty.confidence_intervals",
    "uncertainty.conformal",
    "uncertainty.consistency",
    "uncertainty.description",
    "uncertainty.jackknife",
    "uncertainty.laplace",
    "uncertainty.metrics",
    "uncertainty.miscalibration",
    "uncertainty.ood",
    "uncertainty.poisson_binomial",
    "uncertainty.ranking",
    "uncertainty.scores",
    "uncertainty.selective",
    "uncertainty.temperature",
    "uncertainty.thresholds",
]
# Command modules that a command imports once it runs.
LAZY = {"vipann_tf.cli.__main__", "vipann_tf.cli.printing.answers"}
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    for library in ("tensorflow", "tensorflow_probability", "tf_keras"):
        assert library not in sys.modules, f"{name} imports {library}"
"""


def modules(promise: str) -> list[str]:
    """Return the names of a module, or of all modules of a package."""
    path = ROOT / "vipann_tf" / promise.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


def imported(names: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )


def test_promised_modules():
    names = [name for promise in PROMISES for name in modules(promise) if name not in LAZY]
    assert all(
        (ROOT / pathlib.Path(*name.split("."))).with_suffix(".py").is_file() for name in names
    )
    imported([name.removesuffix(".__init__") for name in names])


def test_a_module_that_needs_it_is_seen():
    with pytest.raises(subprocess.CalledProcessError) as error:
        imported(["vipann_tf.task", "vipann_tf.models.vipann"])
    assert "vipann_tf.models.vipann imports tensorflow" in error.value.stderr
