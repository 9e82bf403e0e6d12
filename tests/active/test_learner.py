"""A head trained on features is the one that `transfer` trains, in every round."""

import itertools

import numpy as np
import pytest

from tests.helpers.tiny_training import eagerly, light_export, log_rows, transfer_recipe
from vipann_tf.active import learner as module
from vipann_tf.active import learning
from vipann_tf.active.answers import answering
from vipann_tf.active.learner import HeadLearner, batch_order
from vipann_tf.active.learning import learn, write_model
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.models.head import Head
from vipann_tf.records.pipeline import training_batches
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import TrainingData, read_model_info
from vipann_tf.training.transfer import transfer

STEPS, BATCH = 5, 24
SETTINGS = (f"training.steps={STEPS}", f"training.batch_size={BATCH}", "training.seed=3")
# Each has an optimizer of its own.
STRATEGIES = {
    "det": (),
    "det-flip": (
        "optimizer.schedule=cosine",
        "optimizer.warmup_steps=2",
        "optimizer.stddev_learning_rate_factor=20",
        "objective.kl_warmup_steps=3",
        "variational.prior=empirical",
    ),
    "det-laplace": (
        "optimizer.weight_decay=0.1",
        "optimizer.clip_norm=1.0",
        "optimizer.ema_momentum=0.5",
    ),
}
HELD_OUT = "fold2"


def recipe_of(strategy, *settings):
    return transfer_recipe(strategy, "fixed", *SETTINGS, *STRATEGIES[strategy], *settings)


def learner_of(recipe, trunk, events) -> HeadLearner:
    dataset = read_dataset_info(events)
    return HeadLearner(recipe, trunk.architecture, dataset.labels, dataset.task)


@pytest.fixture(scope="module")
def order(clips, events) -> np.ndarray:
    """Return what the batches of a data set hold, as indices into the clips of its splits."""
    splits = [name for name in read_dataset_info(events).splits if name != HELD_OUT]
    ids = clips.of(splits).ids
    batches = training_batches(events, splits, batch_size=BATCH, seed=3, waveform=False)
    names = [[x.decode() for x in b["clip_id"].numpy()] for b in itertools.islice(batches, STEPS)]
    place = {name: i for i, name in enumerate(ids)}
    return np.array([[place[name] for name in batch] for batch in names], np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["det-flip", "det-laplace"])
def test_the_model_is_that_of_transfer(
    trunk, clips, events, order, tmp_path, monkeypatch, strategy
):
    """With the clips in the order of transfer: weights, log, metadata and answers."""
    monkeypatch.setattr(module, "batch_order", lambda *args: order)
    monkeypatch.setattr(learning, "export", light_export)
    recipe, ours, theirs = recipe_of(strategy), tmp_path / "ours", tmp_path / "theirs"
    with eagerly(monkeypatch):
        same_as_transfer(recipe, trunk, clips, events, ours, theirs)


def same_as_transfer(recipe, trunk, clips, events, ours, theirs):
    transfer(recipe, trunk.path, events, theirs, test_fold=2)
    wanted = read_model_info(theirs)

    pool = clips.of(wanted.data.splits)
    learner = learner_of(recipe, trunk, events)
    head = learner.train(pool.features, pool.labels)
    write_model(learner, head, trunk, ours, wanted.data)

    weights, expected = read_variables(ours), read_variables(theirs)
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        # Eigenvectors have a sign by chance, and those of equal eigenvalues any direction.
        if "basis" not in name:
            np.testing.assert_allclose(weights[name], value, atol=2e-5, rtol=1e-3, err_msg=name)
    for one, other in zip(log_rows(ours), log_rows(theirs), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    found = read_model_info(ours)
    changed = {"training", "created_by"}
    assert found.model_dump(exclude=changed) == wanted.model_dump(exclude=changed)
    assert found.training.keys() == wanted.training.keys()
    for name in found.training.keys() - {"seconds", "empty_labels"}:
        assert found.training[name] == pytest.approx(wanted.training[name], rel=1e-3), name

    held_out = clips.of([HELD_OUT])
    answers = learner.answer(head, held_out.features)
    opened = ModelUnderTest.open(ours).predict(events, [HELD_OUT])
    assert opened.clip_ids == tuple(held_out.ids)
    for value, other in zip(answers.decomposition, opened.decomposition, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)


def test_a_round_does_not_depend_on_those_before(trunk, clips, events, monkeypatch):
    """Also with moving averages and another number of clips; nothing is compiled twice.

    What is compiled does what runs line by line.
    """
    recipe = recipe_of("det-flip", "optimizer.ema_momentum=0.9")
    learner = learner_of(recipe, trunk, events)
    few, many = clips.of(["fold1", "fold3"]), clips
    learner.train(many.features, many.labels)
    second = learner.train(few.features, few.labels)
    assert learner._loop.experimental_get_tracing_count() == 1
    with eagerly(monkeypatch):
        alone = learner_of(recipe, trunk, events).train(few.features, few.labels)
    for name, value in alone.weights.items():
        np.testing.assert_allclose(second.weights[name], value, atol=1e-6)
    for one, other in zip(second.log, alone.log, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert [row["epoch"] for row in second.log] == [1, 2, 3, 4, 5]  # 24 of 20 clips a step


@pytest.mark.usefixtures("eager")
def test_epochs_by_hand(trunk, clips, events):
    """Without steps, a training of 50 clips for 1.5 epochs has ceil(75 / 24) of them."""
    recipe = recipe_of("det")
    changes = {"steps": None, "epochs": 1.5}
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update=changes)})
    assert len(learner_of(recipe, trunk, events).train(clips.features, clips.labels).log) == 4


def test_every_clip_once_before_any_twice():
    order = batch_order(7, 5, 4, seed=1)
    assert order.shape == (5, 4) and order.dtype == np.int32
    flat = order.ravel()
    for epoch in (flat[:7], flat[7:14]):
        assert sorted(epoch) == list(range(7))
    assert len(set(flat[14:])) == 6
    assert (flat[:7] != flat[7:14]).any()
    np.testing.assert_array_equal(batch_order(7, 2, 4, seed=1), order[:2])
    assert (batch_order(7, 5, 4, seed=2) != order).any()


def test_the_published_order():
    """The key of docs/design.md: another order would be another training."""
    assert batch_order(5, 3, 4, seed=2).tolist() == [[2, 4, 3, 0], [1, 0, 2, 4], [3, 1, 0, 1]]


@pytest.mark.usefixtures("eager")
def test_what_it_was_worth(trunk, clips, events):
    learner = learner_of(recipe_of("det-laplace"), trunk, events)
    pool, held = clips.of(["fold1", "fold3", "fold4", "fold5"]), clips.of([HELD_OUT])
    first = learn(learner, pool.features, pool.labels, held_out=(held.features, held.labels))
    assert first.scores.before is None and first.scores.gain is None
    before = first.held_out.decomposition.probabilities
    again = learn(
        learner, pool.features, pool.labels, held_out=(held.features, held.labels), before=before
    )
    assert again.scores.before == again.scores.after == first.scores.after
    assert {gain.value for gain in again.scores.gain.values()} == {0.0}
    assert learn(learner, pool.features, pool.labels).scores is None
    with pytest.raises(UserError, match="before has answers to held-out clips, but there are no"):
        learn(learner, pool.features, pool.labels, before=before)


@pytest.mark.usefixtures("eager")
def test_draws_are_those_of_the_seed(trunk, clips, events):
    learner = learner_of(recipe_of("det-flip"), trunk, events)
    head = learner.train(clips.features, clips.labels)
    network = Head(learner.architecture)
    network.assign(head.weights)
    ask = answering(network)
    one = ask(clips.features, 1, 4)
    assert not one.decomposition.epistemic.any() and one.num_networks == 1
    three, other = ask(clips.features, 3, 4), ask(clips.features, 3, 5)
    assert three.decomposition.epistemic.max() > 0
    assert np.abs(three.decomposition.total - other.decomposition.total).max() > 0


@pytest.mark.parametrize(
    ("strategy", "setting", "message"),
    [
        ("drop", "mode=fixed", "strategy is drop; a head is trained on features by det, det-flip"),
        ("det", "mode=finetune", "mode is finetune, but a head is trained .* with mode fixed"),
        ("det", "augment.gain_db=1", "augment is True"),
        ("det", "data.fraction=0.5", "data.fraction is 0.5"),
        ("det", "training.precision=mixed_bfloat16", "training.precision is mixed_bfloat16"),
        ("det", "export.batch_norm=draw", "export.batch_norm is True"),
    ],
)
def test_what_features_do_not_allow(trunk, events, strategy, setting, message):
    recipe = transfer_recipe(strategy, "fixed", setting)
    with pytest.raises(UserError, match=message):
        learner_of(recipe, trunk, events)


@pytest.mark.usefixtures("eager")
def test_wrong_arrays_and_labels_without_a_clip(trunk, clips, events):
    strict = learner_of(recipe_of("det", "data.allow_empty_labels=false"), trunk, events)
    with pytest.raises(UserError, match=r"\[50, 127\] .*use \[clips, 128\] and \[clips, 10\]"):
        strict.train(clips.features[:, :-1], clips.labels)
    with pytest.raises(UserError, match="with one clip or more"):
        strict.train(clips.features[:0], clips.labels[:0])
    missing = strict.labels[4]
    some = clips[clips.labels[:, 4] == 0]
    with pytest.raises(UserError, match=f"no clip is labelled {missing}; label one of each"):
        strict.train(some.features, some.labels)
    lenient = learner_of(recipe_of("det"), trunk, events)
    assert lenient.train(some.features, some.labels).outcome["empty_labels"] == [missing]


@pytest.mark.usefixtures("eager")
def test_a_loss_that_is_not_finite(trunk, clips, events):
    learner = learner_of(recipe_of("det", "optimizer.learning_rate=1e30"), trunk, events)
    with pytest.raises(UserError, match="the loss is not finite from step [2-5] on; lower"):
        learner.train(clips.features, clips.labels)


@pytest.mark.usefixtures("eager")
def test_no_model_is_replaced(trunk, clips, events, tmp_path):
    learner = learner_of(recipe_of("det"), trunk, events)
    head = learner.train(clips.features, clips.labels)
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "saved_model.pb").touch()
    with pytest.raises(UserError, match="m"):
        write_model(learner, head, trunk, tmp_path / "m", TrainingData(
            dataset="events", splits=["labelled"], clips=50
        ))  # fmt: skip


def test_a_head_needs_a_deterministic_trunk(trunk):
    with pytest.raises(ValueError, match="the trunk is dropout; a head alone needs"):
        Head(trunk.architecture.model_copy(update={"trunk": "dropout"}))
