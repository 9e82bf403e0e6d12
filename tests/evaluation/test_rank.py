"""Ranking of clips: diversity by hand, the rest against the evaluation of a tiny model."""

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers.light_model import write_light_model
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.evaluation.rank import diverse_order, rank
from vipann_tf.evaluation.splits import unseen_splits
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.prepare import prepare
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.load import load_model

AXES = np.eye(4)


def test_equal_scores_give_the_farthest_first():
    at = np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0.2]])
    order, distances = diverse_order(np.ones(4), at, 4)
    assert order.tolist() == [0, 3, 2, 1]  # 1 - cosine to the first: 0, 0.005, 1, 1.98
    assert distances[0] is None
    expected = [1 + 1 / np.sqrt(1.04), 1 - 0.2 / np.sqrt(1.04), 1 - 1 / np.sqrt(1.01)]
    np.testing.assert_allclose(distances[1:], expected, atol=1e-6)


def test_equal_distances_give_the_plain_ranking():
    scores = [0.2, 0.9, 0.1, 0.5]
    order, _ = diverse_order(scores, AXES, 3)
    assert order.tolist() == [1, 3, 0]


def test_a_copy_waits_until_the_others_are_taken():
    scores, at = [0.9, 0.8, 0.1, 0.3], AXES[[0, 0, 1, 2]] * [[1], [7], [2], [3]]
    order, distances = diverse_order(scores, at, 10)
    assert order.tolist() == [0, 3, 2, 1] and distances[-1] == pytest.approx(0, abs=1e-6)


def test_score_and_distance_are_weighed():
    at = [[1, 0], [np.cos(0.5), np.sin(0.5)], [0, 1]]  # distances to the first: 0.122, 1
    assert diverse_order([1.0, 0.9, 0.12], at, 2)[0].tolist() == [0, 2]
    assert diverse_order([1.0, 0.9, 0.10], at, 2)[0].tolist() == [0, 1]


def test_embeddings_of_nothing_are_no_error():
    order, _ = diverse_order([0.0, 0.0, 0.0], np.zeros([3, 2]), 3)
    assert sorted(order) == [0, 1, 2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a model directory and a dataset directory of 1 s clips; fold 5 is held out."""
    root = tmp_path_factory.mktemp("rank")
    source = datasets.load("synthetic", None, task="multiclass", clips=50, seconds=1.0)
    dataset = prepare(source, root / "data", workers=1)
    write_light_model(root / "model", dataset)
    write_light_model(root / "one", dataset, head="deterministic")
    return root


@pytest.mark.slow
def test_the_clips_named_are_the_most_uncertain_unseen_ones(made):
    network, info = load_model(made / "model")
    batches = evaluation_batches(made / "data", ["fold5"], 4)
    progress = []
    expected = predict_batches(
        network,
        batches,
        num_draws=3,
        seed=info.seed,
        clips=10,
        on_progress=lambda *done: progress.append(done),
    )
    assert progress == [(4, 10), (7, 10), (10, 10)]  # a third of ten clips a draw
    for by in ("epistemic", "aleatoric", "total"):
        scores = getattr(expected.decomposition, by)
        order = np.argsort(-scores)[:6]
        found = rank(made / "model", made / "data", by=by, top=6, num_draws=3)
        assert [clip.clip_id for clip in found] == [expected.clip_ids[i] for i in order]
        np.testing.assert_allclose([getattr(clip, by) for clip in found], scores[order], rtol=1e-4)
        assert [clip.rank for clip in found] == [1, 2, 3, 4, 5, 6]
        assert {clip.split for clip in found} == {"fold5"}
        assert all(clip.distance is None for clip in found)


def test_splits_are_chosen_and_named(made):
    found = rank(made / "model", made / "data", splits=["fold2", "fold3"], top=100)
    assert len(found) == 20
    assert all(f"-{clip.split}-" in clip.clip_id for clip in found)
    assert {clip.split for clip in found} == {"fold2", "fold3"}


def test_the_command_prints_csv_and_a_table(made):
    asked = ["rank", str(made / "model"), "--data", str(made / "data"), "--top", "5", "--diversity"]
    result = CliRunner().invoke(main, [*asked, "--format", "csv"])
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    plain = rank(made / "model", made / "data", top=1)
    assert len(rows) == 5 and rows[0]["clip_id"] == plain[0].clip_id
    assert rows[0]["distance"] == "" and all(float(row["distance"]) > 0 for row in rows[1:])
    table = CliRunner().invoke(main, asked).stdout
    assert all(row["clip_id"] in table for row in rows) and "epistemic" in table


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("model", {"by": "doubt"}, "by is 'doubt'; it must be one of total, aleatoric, epistemic"),
        ("model", {"top": 0}, "top is 0; use 1 or more"),
        ("model", {"num_draws": 0}, "num_draws is 0; use 1 or more"),
        ("model", {"num_draws": 1}, "one network has no epistemic uncertainty .* or --by total"),
        ("one", {}, "one network has no epistemic uncertainty"),
    ],
)
def test_wrong_arguments_are_named(made, model, arguments, message):
    with pytest.raises(UserError, match=message):
        rank(made / model, made / "data", **arguments)


def test_data_that_all_trained_the_model_must_be_named(made):
    from vipann_tf.saved_model.metadata import read_model_info

    dataset, info = read_dataset_info(made / "data"), read_model_info(made / "model")
    trained = info.data.model_copy(update={"splits": list(dataset.splits)})
    with pytest.raises(UserError, match="all of synthetic-multiclass trained the model"):
        unseen_splits(info.model_copy(update={"data": trained}), dataset)
