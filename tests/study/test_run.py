"""A study runs, goes on, survives failures; what a cell gives depends on nothing else."""

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
from click.testing import CliRunner

from vipann_tf.cli import main
from vipann_tf.errors import Stopped, UserError
from vipann_tf.evaluation.stored_results import read_results
from vipann_tf.files.locking import locked
from vipann_tf.recipes import load_recipe
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.study import stages
from vipann_tf.study.directory import StudyDirectory, read_record
from vipann_tf.study.grid import cells, select
from vipann_tf.study.recipe import StudyRecipe
from vipann_tf.study.run import run_study

pytestmark = pytest.mark.slow


def share_bases(smoke, out):
    """What cells start from, without the cells."""
    for part in ("data", "upstream"):
        shutil.copytree(smoke / part, out / part)


def one(recipe, text):
    [cell] = select(cells(recipe), [text])
    return cell


def same_results(first, second):
    one, other = read_results(first), read_results(second)
    assert one.clip_ids == other.clip_ids
    assert one.probs.tobytes() == other.probs.tobytes()
    return True


def test_every_cell_is_an_ordinary_model_with_its_evaluation(recipe, smoke):
    directory = StudyDirectory(recipe, smoke)
    for cell in cells(recipe):
        info = read_model_info(directory.cell(cell))
        if cell.strategy == "ens":
            assert [member["recipe"]["training"]["seed"] for member in info.members] == [0, 1]
            assert {member["recipe"]["strategy"] for member in info.members} == {"det"}
            continue
        assert (info.recipe["strategy"], info.recipe["mode"]) == (cell.strategy, cell.mode)
        assert info.data.held_out == [f"fold{cell.fold}"]
        assert info.data.clips == (10 if cell.fraction == 0.5 else 20)
        results = read_results(directory.cell_evaluation(cell))
        assert results.summary["split"] == f"fold{cell.fold}"
        assert list(results.summary["ood"]) == ["synthetic-ood"]
        assert results.summary["command"].startswith("vipann-tf evaluate ")
        assert read_record(directory.record("cell", cell.name)).status == "finished"
    assert read_results(directory.upstream_evaluation("flipout")).summary["split"] == "eval"
    variant = one(recipe, "variant=elbo")
    assert read_model_info(directory.cell(variant)).recipe["objective"]["kl_reduction"] == "sum"
    info = read_model_info(directory.upstream("flipout"))
    assert info.base["architecture"]["trunk"] == "deterministic"


def test_cells_made_from_others(recipe, smoke):
    """Their weights are those of the cells that they are made from, and they are not trained."""
    directory = StudyDirectory(recipe, smoke)
    ens = one(recipe, "strategy=ens")
    weights = read_variables(directory.cell(ens))
    for number in (1, 2):
        member = directory.cell(replace(ens, strategy="det", seed=number - 1))
        for name, value in read_variables(member).items():
            assert weights[f"member{number}/{name}"].tobytes() == value.tobytes()
    [flip] = select(cells(recipe), ["strategy=flip,variant=plain"])
    drawn = directory.cell(one(recipe, "variant=draw-statistics"))
    assert read_model_info(drawn).batch_norm == "draw"
    for name, value in read_variables(directory.cell(flip)).items():
        assert read_variables(drawn)[name].tobytes() == value.tobytes()
    laplace = read_model_info(directory.cell(one(recipe, "strategy=det-laplace")))
    assert laplace.architecture.head == "laplace"


def test_nothing_is_done_twice(recipe, smoke, monkeypatch):
    def never(*args, **options):
        raise AssertionError("done twice")

    for name in ("prepare", "pretrain", "transfer", "evaluate"):
        monkeypatch.setattr(stages, name, never)
    before = {file: file.stat().st_mtime_ns for file in smoke.rglob("*.json")}
    outcome = run_study(recipe, smoke, cells(recipe), everything=True)
    assert not outcome.failed and len(outcome.finished) == 3 + 2 + 1 + len(cells(recipe))
    changed = {file.name for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert changed <= {"study.json", "record.json"}


@pytest.mark.usefixtures("eager")
def test_a_cell_does_not_depend_on_the_others(recipe, smoke, tmp_path):
    """The last cell alone, in a directory of its own, from data and base made anew."""
    from tests.helpers.tiny_training import same_weights

    cell = one(recipe, "strategy=det-flip,variant=plain,fold=2")
    outcome = run_study(recipe, tmp_path, [cell])
    assert [job.name for job in outcome.finished] == [
        "tagging", "events", "unheard", "deterministic", cell.name
    ]  # fmt: skip
    here, there = StudyDirectory(recipe, tmp_path), StudyDirectory(recipe, smoke)
    assert same_weights(here.upstream("deterministic"), there.upstream("deterministic"))
    assert same_weights(here.cell(cell), there.cell(cell))
    assert same_results(here.cell_evaluation(cell), there.cell_evaluation(cell))


@pytest.mark.usefixtures("eager")
def test_an_interrupted_training_goes_on(recipe, smoke, tmp_path):
    from tests.helpers.tiny_training import log_bytes, same_weights

    share_bases(smoke, tmp_path)
    cell = one(recipe, "strategy=flip,fold=1,variant=plain")
    directory, reported = StudyDirectory(recipe, tmp_path), []

    def interrupt(done, total, what):
        if what.startswith("loss") and done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match="stopped at step 1 of 2 with a checkpoint"):
        run_study(recipe, tmp_path, [cell], on_progress=interrupt)
    assert read_record(directory.record("cell", cell.name)).status == "stopped"

    def report(number, total, status):
        reported.append((status.job.name, status.state))

    steps = []
    run_study(
        recipe,
        tmp_path,
        [cell],
        on_job=report,
        on_progress=lambda done, total, what: what.startswith("loss") and steps.append(done),
    )
    assert steps == [2]
    assert reported[-2:] == [(cell.name, "running"), (cell.name, "finished")]
    whole = StudyDirectory(recipe, smoke).cell(cell)
    assert same_weights(directory.cell(cell), whole)
    assert log_bytes(directory.cell(cell)) == log_bytes(whole)


@pytest.mark.usefixtures("eager")
def test_a_failed_cell_does_not_end_the_study(recipe, smoke, tmp_path, monkeypatch):
    share_bases(smoke, tmp_path)
    flip = "strategy=flip,fold=1,variant=plain"
    chosen = select(cells(recipe), ["strategy=det,fraction=1", flip])
    directory, transfer = StudyDirectory(recipe, tmp_path), stages.run_cell

    def fails(directory, cell, *rest):
        if cell.name == chosen[0].name:
            raise RuntimeError("the memory is full\nof a stack")
        if cell.name == chosen[2].name:
            raise UserError("the recipe is wrong")
        transfer(directory, cell, *rest)

    monkeypatch.setattr(stages, "run_cell", fails)
    outcome = run_study(recipe, tmp_path, chosen)
    assert outcome.failed == {
        chosen[0].name: "RuntimeError: the memory is full",
        chosen[2].name: "the recipe is wrong",
    }
    record = read_record(directory.record("cell", chosen[0].name))
    assert record.reason == "RuntimeError: the memory is full"
    assert "in fails" in record.traceback
    assert read_record(directory.record("cell", chosen[2].name)).traceback == ""
    assert directory.is_finished(chosen[1]) and not directory.is_finished(chosen[0])

    only = ["--only", "strategy=det,fraction=1", "--only", flip]
    command = ["study", "studies/smoke", "--out", str(tmp_path), *only]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert f"Failed: {chosen[2].name}: the recipe is wrong" in result.output
    assert "failed" in CliRunner().invoke(main, [*command, "--list"]).output

    monkeypatch.undo()
    result = CliRunner().invoke(main, [*command, "--list"])
    assert result.exit_code == 0 and result.output.count("failed") == 2


def test_what_needs_what_failed(recipe, tmp_path, monkeypatch):
    """Data that can't be prepared fail the networks and cells that need them, once each."""
    source = {"datasets": {"tagging": {"dataset": "folder", "source": "nowhere", "options": {}}}}
    broken = load_recipe(StudyRecipe, "studies/smoke", [source])
    monkeypatch.setattr(stages, "prepare_dataset", _only_tagging(stages.prepare_dataset))
    chosen = select(cells(broken), ["strategy=det,fold=1,fraction=1"])
    outcome = run_study(broken, tmp_path, chosen)
    assert list(outcome.failed) == ["tagging", "deterministic", chosen[0].name]
    assert "nowhere" in outcome.failed["tagging"]
    reason = f"data set tagging failed: {outcome.failed['tagging']}"
    assert outcome.failed["deterministic"] == reason
    assert outcome.failed[chosen[0].name] == f"upstream network deterministic failed: {reason}"


def _only_tagging(prepare):
    def prepared(directory, name, on_progress):
        if name == "tagging":
            prepare(directory, name, on_progress)

    return prepared


def test_a_cell_that_another_process_has(recipe, smoke):
    cell = cells(recipe)[0]
    with locked(StudyDirectory(recipe, smoke).record("cell", cell.name).parent):
        outcome = run_study(recipe, smoke, [cell])
    assert [job.name for job in outcome.elsewhere] == [cell.name]


def test_other_data_of_the_same_name(recipe, smoke):
    other = load_recipe(
        StudyRecipe, "studies/smoke", [{"datasets": {"events": {"options": {"clips": 60}}}}]
    )
    with pytest.raises(UserError, match="events was prepared with other settings than those"):
        run_study(other, smoke, cells(other))


def test_out_is_a_file(recipe, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="out is a file; choose a directory for --out"):
        run_study(recipe, tmp_path / "out", cells(recipe))


def test_a_model_of_another_recipe(recipe, smoke):
    changes = {"recipes": {"fixed": {"settings": {"optimizer": {"learning_rate": 0.5}}}}}
    other = load_recipe(StudyRecipe, "studies/smoke", [{"downstream": {"events": changes}}])
    cell = one(other, "strategy=det,fold=1,fraction=1")
    outcome = run_study(other, smoke, [cell])
    assert "was trained by another recipe than the study's" in outcome.failed[cell.name]
    record = StudyDirectory(recipe, smoke).record("cell", cell.name)
    assert read_record(record).seconds > 0.5  # what the training took, not the look at it
    run_study(recipe, smoke, [cell])  # mended
    assert read_record(record).status == "finished" and read_record(record).seconds > 0.5


def test_the_command(smoke):
    """--list shows what is done and needs no TensorFlow; without it nothing is left to do."""
    command = ["study", "studies/smoke", "--out", str(smoke)]
    listed = CliRunner().invoke(main, [*command, "--list"])
    assert listed.exit_code == 0, listed.output
    assert "16 jobs, 16 finished; the rest takes about 0 s on two CPU cores" in listed.output
    one = ["--list", "--only", "strategy=det,fraction=1", "--shard", "2/2"]
    part = CliRunner().invoke(main, [*command, *one])
    assert "det-fixed/seed0-fold2" in part.output and "fold1" not in part.output
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "16 finished, 0 failed" in done.output
    assert json.loads((smoke / "study.json").read_text())["hardware"] == "two CPU cores"
