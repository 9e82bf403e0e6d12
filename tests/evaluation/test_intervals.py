"""Resampled metrics equal the metrics of really resampled clips; intervals cover as they claim."""

import numpy as np
import pytest
import scipy.special

from vipann_tf.errors import UserError
from vipann_tf.evaluation import intervals as iv
from vipann_tf.evaluation.metrics import metrics
from vipann_tf.uncertainty.bootstrap import resample_weights


def _data(task, clips=61, labels=4, seed=0, sharpen=1.0):
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(clips, labels))
    if task == "multilabel":
        p = scipy.special.expit(logits)
        return scipy.special.expit(sharpen * logits), (rng.random(p.shape) < p).astype(int)
    p = scipy.special.softmax(logits, axis=1)
    truth = np.stack([rng.multinomial(1, row) for row in p])
    return scipy.special.softmax(sharpen * logits, axis=1), truth


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_weights_mean_repeated_clips(task):
    probs, labels = _data(task)
    weights = np.concatenate([np.ones((1, 61)), resample_weights(61, 6, seed=1)])
    got = iv.resampled_metrics(probs, labels, task, weights)
    for row, counts in enumerate(weights.astype(int)):
        want = metrics(np.repeat(probs, counts, axis=0), np.repeat(labels, counts, axis=0), task)
        for name, values in got.items():
            np.testing.assert_allclose(values[row], want[name], rtol=1e-10, err_msg=name)
    counts_only = {"clips", "labels_scored", "labels_left_out"}
    assert set(got) == set(want) - counts_only


def test_a_label_that_a_resample_lost_is_left_out_of_its_means():
    probs = np.array([[0.9, 0.3], [0.2, 0.6], [0.4, 0.8]])
    labels = np.array([[1, 0], [0, 1], [0, 1]])
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 2.0, 0.0]])
    got = iv.resampled_metrics(probs, labels, "multilabel", weights)
    np.testing.assert_array_equal(got["map"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(got["auc"], [1.0, np.nan, np.nan])


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_many_weightings_are_chunked_alike(task, monkeypatch):
    probs, labels = _data(task)
    weights = resample_weights(61, 10, seed=2)
    whole = iv.resampled_metrics(probs, labels, task, weights)
    monkeypatch.setattr(iv, "_CELLS", 3 * 61)
    parts = iv.resampled_metrics(probs, labels, task, weights)
    for name in whole:
        np.testing.assert_array_equal(parts[name], whole[name])


def test_intervals_cover_the_true_value():
    """Repeat 60 times with 80 clips from a calibrated model, as many as a fold of ESC-10.

    An interval that covers 95 % of the time misses more than nine of them with a probability of
    0.0007.
    """
    population, truth = _data("multiclass", clips=60_000)
    want = metrics(population, truth, "multiclass")
    covered = dict.fromkeys(want, 0)
    for seed in range(60):
        pick = np.random.default_rng(seed).integers(len(truth), size=80)
        got = iv.metric_intervals(
            population[pick], truth[pick], "multiclass", resamples=200, seed=seed
        )
        assert got["ece_classwise"].low is None  # see the module's docstring
        for name in ("accuracy", "nll", "brier", "ece"):
            assert got[name].low <= got[name].value <= got[name].high
            covered[name] += got[name].low <= want[name] <= got[name].high
    for name in ("accuracy", "nll", "brier", "ece"):
        assert covered[name] >= 51, covered


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_paired_difference_is_narrower_and_has_the_sign(task):
    good, labels = _data(task, clips=400)
    bad, _ = _data(task, clips=400, sharpen=3.0)
    difference = iv.paired_differences(good, bad, labels, task, resamples=300)
    assert difference["nll"].excludes_zero and difference["nll"].value < 0
    assert difference["ece"].excludes_zero and difference["ece"].value < 0
    alone = [iv.metric_intervals(p, labels, task, resamples=300)["nll"] for p in (good, bad)]
    separate = np.hypot(*(i.high - i.low for i in alone))
    assert difference["nll"].high - difference["nll"].low < separate
    same = iv.paired_differences(good, good, labels, task, resamples=50)
    assert all((i.value, i.low, i.high) == (0.0, 0.0, 0.0) for i in same.values())


def test_accuracy_without_an_error_is_not_certain():
    labels = np.eye(4)[np.arange(40) % 4]
    got = iv.metric_intervals(0.6 * labels + 0.1, labels, "multiclass", resamples=20)["accuracy"]
    # Wilson's lower end for n of n is n / (n + z^2).
    np.testing.assert_allclose((got.value, got.low, got.high), (1, 40 / (40 + 1.96**2), 1), 1e-4)


def test_different_clips_cannot_be_paired():
    probs, labels = _data("multiclass")
    with pytest.raises(UserError, match=r"shape \(61, 4\) and \(60, 4\); a paired"):
        iv.paired_differences(probs, probs[:-1], labels, "multiclass")
