"""A label without a clip to train on is refused, or allowed and told."""

import pytest
from click.testing import CliRunner

from tests.helpers.tiny_training import pretrain_recipe, transfer_recipe
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training.cross_validation import cross_validate
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.transfer import check_labels, transfer

STRICT = "data.allow_empty_labels=false"  # the default
EMPTY = ["sea waves", "telephone", "thunder", "typing", "vacuum cleaner", "whistle"]
REFUSED = "synthetic-multiclass has no clip for 6 of 10 labels .sea waves, .* and 1 more. in fold2,"


def test_transfer_refuses_it(bases, events, tmp_path):
    recipe = transfer_recipe("det", "fixed", STRICT)
    with pytest.raises(UserError, match=REFUSED):
        transfer(recipe, bases["deterministic"], events, tmp_path / "m", test_fold=1)
    assert not (tmp_path / "m").exists()


def test_cross_validation_refuses_it_before_the_first_fold(bases, events, tmp_path, monkeypatch):
    monkeypatch.setattr("vipann_tf.training.cross_validation.run_trainings", pytest.fail)
    recipe = transfer_recipe("det", "fixed", STRICT)
    with pytest.raises(UserError, match=REFUSED):
        cross_validate(recipe, bases["deterministic"], events, tmp_path / "cv")


def test_pretraining_refuses_it(tagging, tmp_path):
    recipe = pretrain_recipe("deterministic", STRICT)
    with pytest.raises(UserError, match="synthetic-multilabel has no clip for 4 of 14 labels"):
        pretrain(recipe, tagging, tmp_path / "m")


def test_a_head_that_is_kept_knows_its_labels(events):
    recipe = transfer_recipe("det", "fixed", STRICT, "keep_head=true")
    check_labels(recipe, read_dataset_info(events), ["fold1"])


@pytest.mark.usefixtures("eager")
def test_the_option_allows_it_and_the_model_tells(bases, events, tmp_path):
    arguments = ["transfer", "--strategy", "det", "--mode", "fixed", "--test-fold", "1"]
    arguments += ["--base", bases["deterministic"], "--data", events, "--out", tmp_path / "m"]
    arguments += ["--set", "training.steps=1"]
    refused = CliRunner().invoke(main, list(map(str, arguments)))
    assert refused.exit_code == 1 and "--allow-empty-labels" in refused.stderr
    made = CliRunner().invoke(main, [*map(str, arguments), "--allow-empty-labels"])
    assert made.exit_code == 0, made.output
    warning = "warning: 6 of 10 labels had no clip to train on, and are never answered: sea waves,"
    assert warning in made.stderr
    assert read_model_info(tmp_path / "m").training["empty_labels"] == EMPTY
    assert warning in CliRunner().invoke(main, ["info", str(tmp_path / "m")]).stderr
