"""The notebooks: their code runs with the present package, and what is stored belongs to it."""

import ast
import logging
import warnings

import matplotlib.pyplot as plt
import nbformat
import pytest
import tensorflow as tf

import vipann_tf as vt
from tests.helpers import notebooks
from tests.helpers.exported_models import LABELS, small_info, small_model
from tests.helpers.light_model import light_version
from tests.helpers.notebooks import FOLDER, SOURCES, contents, faults, read_source, read_stored
from tests.helpers.tiny_training import light_export, shallow
from vipann_tf.saved_model import export
from vipann_tf.training import fit

pytestmark = pytest.mark.slow

ALL_BYTES = 2_000_000
# What a notebook may use beside `vt`: all of it comes with the package.
LIBRARIES = {"matplotlib", "numpy", "os", "pathlib", "soundfile", "soxr", "tempfile", "tensorflow"}
LIBRARIES |= {"tf_keras", "vipann_tf", "textwrap", "warnings"}


def imported(code: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_stored_is_the_source_executed_in_order(source):
    stored = read_stored(source)
    nbformat.validate(stored)
    assert contents(stored) == contents(read_source(source)), "make notebooks"
    codes = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
    assert faults(stored) == []
    assert stored.metadata == read_source(source).metadata
    pictures = [out for cell in codes for out in cell.outputs if "image/png" in out.get("data", {})]
    assert pictures
    headings = [
        line
        for cell in stored.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    ]
    assert len(headings) == 1 and stored.cells[0].source.startswith(headings[0])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebooks_use_public_names_alone(source):
    code = source.read_text(encoding="utf-8")
    assert {name.split(".")[0] for name in imported(code)} <= LIBRARIES
    assert {name for name in imported(code) if name.startswith("vipann_tf")} == {"vipann_tf"}
    used = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "vt"
    }
    assert used and used <= set(vt.__all__)


def test_they_are_small_together():
    stored = sorted(FOLDER.glob("*.ipynb"))
    assert [path.stem for path in stored] == [path.stem for path in SOURCES]
    assert sum(path.stat().st_size for path in stored) < ALL_BYTES


@pytest.fixture
def run(monkeypatch):
    """Runs a notebook with small values; pictures are made, and not shown."""
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    figures = dict(plt.rcParams)
    with warnings.catch_warnings():
        yield lambda name, **small: notebooks.run_small(FOLDER / f"{name}.py", **small)
    plt.rcParams.update(figures)


def test_a_first_hour(run):
    few = [f"examples/sounds/{name}.ogg" for name in ("dog", "doorbell", "rain", "tabla")]
    done = run("first_hour", num_draws=2, many_draws=3, hop_s=4.0, sounds=few)
    assert len(done["answers"]) == 4 and len(done["model"].labels) == 127
    assert done["found"].total == pytest.approx(done["dog"].total, rel=1e-4)
    assert done["known"].tolist() == [True, False, True, False]
    assert len(done["windows"]) == 7


def test_flipout_layers(run):
    """After so few steps the posterior is not yet found, but on its way."""
    done = run("flipout_layers", steps=60, draws=5)
    assert done["drawn"].shape == (5, 81)
    found = {name: stddev.mean() for name, (_, stddev) in done["results"].items()}
    assert found["0"] < found["1 / N"] < found["1 (default)"]


def test_own_recordings(run, tmp_path, monkeypatch, caplog):
    shallow(monkeypatch.setitem)
    network = small_model("det")
    light_version(network, tmp_path / "base", small_info(network), LABELS)
    # As in a notebook, where TensorFlow is more talkative.
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    caplog.set_level("INFO", logger="tensorflow")
    # The graph of the first model is not used; no server warms up.
    monkeypatch.setattr(fit, "export", light_export)
    monkeypatch.setattr(export, "write_warmup", lambda version, info: [])
    done = run("own_recordings", base=tmp_path / "base", clips=50, steps=2, num_draws=2)
    assert [split.clips for split in done["data"].splits.values()] == [10] * 5
    assert done["fit"].calibration.fitted_on == ["recordings/fold4"]
    assert {row.metric for row in done["differences"]} == set(done["wanted"])
    assert "Assets written" not in caplog.text and tf.get_logger().level == logging.INFO


def test_active_learning(run, exported):
    small = {"clips": 60, "rounds": 1, "per_round": 4, "repeats": 2, "steps": 3, "draws": 2}
    done = run("active_learning", base=exported.path, **small)
    for strategy in done["strategies"]:
        assert done["accuracy"][strategy].shape == (2, 2)
        for _, chosen in done["trials"][strategy]:
            assert len(set(chosen)) == 8 and set(chosen) <= set(done["pool"])
    first = [[chosen[:4].tolist() for _, chosen in found] for found in done["trials"].values()]
    assert first[0] == first[1]  # a repeat starts with the same clips


def test_a_parameter_that_is_gone_is_noticed(tmp_path):
    source = tmp_path / "small.py"
    source.write_text('# %% tags=["parameters"]\nsteps = 3\n\n# %%\nfound = 2 * steps\n')
    assert notebooks.run_small(source, steps=5)["found"] == 10
    with pytest.raises(AssertionError, match="small.py has no parameter {'step'}"):
        notebooks.run_small(source, step=5)


def test_what_must_not_be_stored_is_found():
    def output(kind, text):
        return nbformat.v4.new_output("stream", name=kind, text=text)

    cell = nbformat.v4.new_code_cell("", id="a")
    cell.outputs = [
        output("stdout", "fine"),
        output("stderr", "W0000 log"),
        output("stdout", f"{FOLDER}/x"),
        nbformat.v4.new_output("display_data", {"text/html": f"<td>{FOLDER}</td>"}),
        nbformat.v4.new_output("error", ename="ValueError", evalue="no"),
    ]
    found = faults(nbformat.v4.new_notebook(cells=[cell]))
    assert [text.split(":")[0] for text in found] == [
        "a stderr",
        "a stdout",
        "a display_data",
        "a error",
    ]
