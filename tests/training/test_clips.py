"""data.fraction: fewer clips to train on, the same ones for every strategy."""

import pytest

from tests.helpers.tiny_training import log_rows, transfer_recipe
from vipann_tf.errors import UserError
from vipann_tf.recipes import TransferRecipe, load_recipe
from vipann_tf.records.pipeline import training_batches
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.training import clips as module
from vipann_tf.training.transfer import transfer


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_a_share_of_the_clips(bases, events, tmp_path, monkeypatch):
    """16 clips of 8 labels in four folds, two a label: half of them is 8, one a label."""
    heard = []

    def spy(*args, **options):
        heard.append(options["only"])
        return training_batches(*args, **options)

    monkeypatch.setattr(module, "training_batches", spy)
    for strategy, base in (("det", "deterministic"), ("drop", "dropout")):
        recipe = transfer_recipe(
            strategy, "fixed", "data.fraction=0.5", "training.steps=null", "training.epochs=3"
        )
        out = tmp_path / strategy
        transfer(recipe, bases[base], events, out, test_fold=1)
        count = read_model_info(out).data.clips
        assert count == len(set(heard[-1])) < 16
        rows = log_rows(out)
        assert len(rows) == -(-3 * count // 4)  # epochs are of the clips heard
        assert rows[0]["kl_scale"] == pytest.approx(1 / count)
    assert heard[0] == heard[-1]


def test_recipe():
    with pytest.raises(UserError, match="data.fraction is 0: input should be greater than 0"):
        load_recipe(TransferRecipe, None, ["data.fraction=0"])
    with pytest.raises(UserError, match="data.fraction is 1.5: input should be less than or equal"):
        load_recipe(TransferRecipe, None, ["data.fraction=1.5"])
