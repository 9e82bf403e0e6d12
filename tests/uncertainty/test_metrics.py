"""Headline metrics by hand and against scikit-learn; what is not defined is None."""

import json
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.metrics import average_precision_score, roc_auc_score

from vipann_tf.errors import UserError
from vipann_tf.uncertainty import metrics as m
from vipann_tf.uncertainty.metric_names import METRIC_NAMES


def test_multiclass_by_hand():
    probs = [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]
    labels = np.eye(3)[[0, 1, 1, 2]]
    got = m.multiclass_metrics(probs, labels)
    assert got["clips"] == 4
    assert got["accuracy"] == 0.75
    # F1 of the labels: 2/3 (precision 1/2, recall 1), 2/3 (1, 1/2), 1.
    np.testing.assert_allclose(got["macro_f1"], (2 / 3 + 2 / 3 + 1) / 3)
    np.testing.assert_allclose(got["nll"], -np.mean(np.log([0.8, 0.3, 0.5, 0.7])))
    np.testing.assert_allclose(got["brier"], (0.06 + 0.86 + 0.38 + 0.14) / 4)
    np.testing.assert_allclose(got["ece"], (0.2 + 0.6 + 0.5 + 0.3) / 4)  # each alone in its bin


def test_multilabel_matches_scikit_learn_and_counts_what_it_leaves_out():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(60, 7))
    probs = np.round(scipy.special.expit(logits), 1)  # with ties
    labels = (rng.random((60, 7)) < probs).astype(int)
    labels[:, 2], labels[:, 5] = 0, 1
    got = m.multilabel_metrics(probs, labels)
    keep = [0, 1, 3, 4, 6]
    auc = roc_auc_score(labels[:, keep], probs[:, keep], average="macro")
    np.testing.assert_allclose(got["auc"], auc)
    np.testing.assert_allclose(
        got["map"], average_precision_score(labels[:, keep], probs[:, keep], average="macro")
    )
    np.testing.assert_allclose(got["d_prime"], math.sqrt(2) * scipy.stats.norm.ppf(auc))
    assert (got["labels_scored"], got["labels_left_out"]) == (5, 2)
    assert np.isnan(m.label_auc(probs, labels)[[2, 5]]).all()


def test_what_is_not_defined_is_none_and_json_can_hold_it():
    got = m.multilabel_metrics(np.full((4, 2), 0.25), np.zeros((4, 2)))
    assert (got["map"], got["auc"], got["d_prime"], got["labels_left_out"]) == (None, None, None, 2)
    np.testing.assert_allclose(got["ece"], 0.25)
    perfect = m.multilabel_metrics([[0.9], [0.1]], [[1], [0]])
    assert perfect["auc"] == 1.0 and perfect["d_prime"] is None
    for result in (got, perfect, m.metrics([[0.9, 0.1]], [[1, 0]], "multiclass")):
        json.dumps(result, allow_nan=False)


def test_task_chooses_the_metrics():
    probs, labels = [[0.9, 0.1]], [[1, 0]]
    assert m.metrics(probs, labels, "multiclass") == m.multiclass_metrics(probs, labels)
    assert m.metrics(probs, labels, "multilabel") == m.multilabel_metrics(probs, labels)
    with pytest.raises(UserError, match="task is 'tag'"):
        m.metrics(probs, labels, "tag")


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_every_metric_has_a_name_and_knows_which_way_is_better(task):
    """Answers near the truth are better in each than answers that are as near to its opposite."""
    truth = np.tile(np.eye(3), (6, 1))
    doubt = np.random.default_rng(0).dirichlet(np.ones(3), len(truth))
    right = 0.3 * truth + 0.7 * doubt
    wrong = right[:, [1, 2, 0]] if task == "multiclass" else 1 - right
    better, worse = (m.metrics(probs, truth, task) for probs in (right, wrong))
    counts = {"clips", "labels_scored", "labels_common", "labels_left_out"}
    for name in better.keys() - counts:
        assert METRIC_NAMES[name].more_is_better == (better[name] > worse[name]), name
