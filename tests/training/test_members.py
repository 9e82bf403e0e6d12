"""Deep ensembles by transfer: one member per seed, resumed after an interruption."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.interruptions import Killed
from tests.helpers.tiny_training import transfer_recipe
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.splits import check_not_trained_on
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.load import load_model, read_variables
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training import members as members_module
from vipann_tf.training.cross_validation import cross_validate
from vipann_tf.training.members import transfer_members
from vipann_tf.training.transfer import transfer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]


@pytest.fixture
def train(bases, events, tmp_path):
    def run(name, *settings, members=2, **options):
        recipe = transfer_recipe("det-flip", "fixed", "training.seed=3", *settings)
        transfer_members(
            recipe,
            bases["deterministic"],
            events,
            tmp_path / name,
            members=members,
            test_fold=1,
            **options,
        )
        return tmp_path / name

    return run


def test_members_are_the_trainings_of_their_seeds(train, bases, events, tmp_path):
    path = train("ensemble")
    values = read_variables(path)
    for number, seed in ((1, 3), (2, 4)):
        recipe = transfer_recipe("det-flip", "fixed", f"training.seed={seed}")
        transfer(recipe, bases["deterministic"], events, tmp_path / f"{seed}", test_fold=1)
        for name, value in read_variables(tmp_path / f"{seed}").items():
            assert values[f"member{number}/{name}"].tobytes() == value.tobytes()
    info = read_model_info(path)
    assert info.recipe["training"]["seed"] == 3
    assert [member["recipe"]["training"]["seed"] for member in info.members] == [3, 4]
    assert info.data.held_out == ["fold1"]
    network, _ = load_model(path)
    assert len(network.architecture.draw_indices(info.num_draws)) == 4
    assert not (path / "members").exists()
    logs = path / "1" / "assets.extra"
    assert {file.name for file in logs.glob("*_training_log.csv")} == {
        "seed3_training_log.csv",
        "seed4_training_log.csv",
    }
    with pytest.raises(UserError, match="trained the model"):
        check_not_trained_on(info, read_dataset_info(events), ["fold2"])


def test_an_interrupted_ensemble_goes_on(train, monkeypatch):
    whole = read_variables(train("whole"))
    calls = []

    def counted(recipe, *arguments, **options):
        calls.append(recipe.training.seed)
        if len(calls) == 2:
            raise Killed
        return transfer(recipe, *arguments, **options)

    monkeypatch.setattr(members_module, "transfer", counted)
    with pytest.raises(Killed):
        train("stopped")
    with pytest.raises(UserError, match="differs in optimizer.learning_rate"):
        train("stopped", "optimizer.learning_rate=1e-4")
    path = train("stopped")
    assert calls == [3, 4, 4]
    for name, value in read_variables(path).items():
        assert value.tobytes() == whole[name].tobytes()


def test_overwriting_begins_anew(train):
    path = train("again")
    with pytest.raises(UserError, match="already has a model"):
        train("again", "training.steps=1")
    train("again", "training.steps=1", overwrite=True)
    assert [x["training"]["steps"] for x in read_model_info(path).members] == [1, 1]


def test_folds_of_ensembles(bases, events, tmp_path):
    recipe = transfer_recipe("det", "fixed")
    arguments = (recipe, bases["deterministic"], events, tmp_path / "out")
    summary = cross_validate(*arguments, folds=[1, 2], members=2)
    assert summary["folds"] == ["fold1", "fold2"]
    for fold in (1, 2):
        info = read_model_info(tmp_path / "out" / f"fold{fold}")
        assert (len(info.members), info.data.held_out) == (2, [f"fold{fold}"])
        file = tmp_path / "out" / f"fold{fold}" / "evaluation" / "metrics.json"
        assert json.loads(file.read_text(encoding="utf-8"))["draws"] == 2
    with pytest.raises(UserError, match="members differ"):
        cross_validate(*arguments, folds=[1, 2], members=3)
    assert np.isfinite(summary["metrics"]["nll"]["mean"])


def test_options_that_exclude_each_other(bases, events, tmp_path):
    common = ["transfer", "--strategy", "det", "--base", str(bases["deterministic"])]
    common += ["--data", str(events), "--out", str(tmp_path / "out")]
    cases = {
        "are for members above 1": ["--parallel-members", "2"],
        "exclude each other": ["--parallel-members", "2", "--members", "2", "--folds", "all"],
        "one device": ["--parallel-members", "2", "--members", "2", "--devices", "mirrored"],
    }
    for message, options in cases.items():
        result = CliRunner().invoke(main, [*common, *options])
        assert result.exit_code == 1 and message in result.output, result.output
    assert not (tmp_path / "out").exists()
