"""Resampled metrics equal the metrics of really resampled clips; intervals cover as they claim."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vipann_tf.errors import UserError
from vipann_tf.evaluation import intervals as iv
from vipann_tf.evaluation import weighted_metrics
from vipann_tf.evaluation.weighted_metrics import clip_means, label_means
from vipann_tf.uncertainty.bootstrap import resample_weights
from vipann_tf.uncertainty.metrics import metrics


def _data(task, clips=61, labels=4, seed=0, sharpen=1.0):
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(clips, labels))
    if task == "multilabel":
        p = scipy.special.expit(logits)
        return scipy.special.expit(sharpen * logits), (rng.random(p.shape) < p).astype(int)
    p = scipy.special.softmax(logits, axis=1)
    truth = np.stack([rng.multinomial(1, row) for row in p])
    return scipy.special.softmax(sharpen * logits, axis=1), truth


def _weighted(*arguments):
    return {**clip_means(*arguments), **label_means(*arguments)}


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_weights_mean_repeated_clips(task):
    probs, labels = _data(task)
    weights = np.concatenate([np.ones((1, 61)), resample_weights(61, 6, seed=1)])
    got = _weighted(probs, labels, task, weights)
    for row, counts in enumerate(weights.astype(int)):
        want = metrics(np.repeat(probs, counts, axis=0), np.repeat(labels, counts, axis=0), task)
        for name, values in got.items():
            np.testing.assert_allclose(values[row], want[name], rtol=1e-10, err_msg=name)
    counts_only = {"clips", "labels_scored", "labels_common", "labels_left_out"}
    assert set(got) == set(want) - counts_only


def test_a_label_that_a_resample_lost_is_left_out_of_its_means():
    probs = np.array([[0.9, 0.3], [0.2, 0.6], [0.4, 0.8]])
    labels = np.array([[1, 0], [0, 1], [0, 1]])
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 2.0, 0.0]])
    got = label_means(probs, labels, "multilabel", weights)
    np.testing.assert_array_equal(got["map"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(got["auc"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(got["map_common"], [np.nan] * 3)


def test_common_labels_stay_common_if_a_clip_is_left_out():
    rng = np.random.default_rng(0)
    probs, labels = rng.random((20, 3)), np.zeros((20, 3), int)
    labels[:5, 0] = labels[:9, 1] = labels[:4, 2] = 1
    weights = np.ones((2, 20))
    weights[1, 0] = 0  # the first label has four left
    got = label_means(probs, labels, "multilabel", weights)
    whole = metrics(probs, labels, "multilabel")
    assert whole["labels_common"] == 2
    left = metrics(probs[1:, :2], labels[1:, :2], "multilabel")["map"]
    np.testing.assert_allclose(got["map_common"], [whole["map_common"], left])


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_many_weightings_are_chunked_alike(task, monkeypatch):
    probs, labels = _data(task)
    weights = resample_weights(61, 10, seed=2)
    whole = label_means(probs, labels, task, weights)
    monkeypatch.setattr(weighted_metrics, "_CELLS", 3 * 61)
    parts = label_means(probs, labels, task, weights)
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


def _long_tailed(clips, labels, seed):
    """Return probabilities of two models, and truth in which most labels have few clips."""
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, labels)) < 0.4 / np.arange(1, labels + 1)
    noise = rng.normal(size=(2, clips, labels))
    return (*scipy.special.expit(1.2 * truth + noise), truth.astype(int))


@pytest.mark.slow
def test_intervals_of_means_over_labels_cover_what_other_clips_give():
    """40 sets of 90 clips and 30 labels, most of which have one to four clips.

    An interval that covers 95 % of the time misses more than six with a probability of 0.004. The
    percentile bootstrap of the mAP misses most of them: all resamples rank better.
    """
    names = ("map", "auc", "map_common")
    many = [_long_tailed(90, 30, seed) for seed in range(1000, 1200)]
    once = np.ones((1, 90))
    scored = [[label_means(p, y, "multilabel", once) for p in (a, b)] for a, b, y in many]
    want = {name: np.mean([a[name] for a, _ in scored]) for name in names}
    gap = {name: np.mean([a[name] - b[name] for a, b in scored]) for name in names}
    covered, differences = (dict.fromkeys(names, 0) for _ in range(2))
    percentile = 0
    for seed in range(40):
        first, second, truth = _long_tailed(90, 30, seed)
        got = iv.metric_intervals(first, truth, "multilabel", resamples=20)
        paired = iv.paired_differences(first, second, truth, "multilabel", resamples=20)
        for name in names:
            assert got[name].low <= got[name].value <= got[name].high
            covered[name] += got[name].low <= want[name] <= got[name].high
            differences[name] += paired[name].low <= gap[name] <= paired[name].high
        drawn = label_means(first, truth, "multilabel", resample_weights(90, 100, seed))["map"]
        low, high = np.quantile(drawn, [0.025, 0.975])
        percentile += low <= want["map"] <= high
    assert min(covered.values()) >= 34 and min(differences.values()) >= 34, (covered, differences)
    assert percentile < 34


def test_macro_f1_of_few_errors_covers_what_other_clips_give():
    """Of 60 sets of 80 clips and ten labels with few errors at least 51, as above."""
    truth = np.eye(10, dtype=int)[np.arange(80) % 10]

    def probs(seed):
        logits = np.random.default_rng(seed).normal(size=(80, 10)) + 4 * truth
        return scipy.special.softmax(logits, axis=1)

    once = np.ones((1, 80))
    scores = [label_means(probs(seed), truth, "multiclass", once) for seed in range(1000, 1400)]
    want = np.mean([score["macro_f1"] for score in scores])
    covered = 0
    for seed in range(60):
        got = iv.metric_intervals(probs(seed), truth, "multiclass", resamples=20)["macro_f1"]
        assert got.low <= got.value <= got.high
        covered += got.low <= want <= got.high
    assert covered >= 51


def test_every_interval_holds_its_value():
    for seed in range(10):
        for task in ("multilabel", "multiclass"):
            probs, labels = _data(task, clips=9, seed=seed, sharpen=2.0)
            got = iv.metric_intervals(probs, labels, task, resamples=5, seed=seed)
            paired = iv.paired_differences(probs, probs[::-1], labels, task, resamples=5)
            for name, one in [*got.items(), *paired.items()]:
                assert one.low is None or one.low <= one.value <= one.high, name


def test_d_prime_has_the_ends_of_the_auc():
    probs, labels = _data("multilabel")
    got = iv.metric_intervals(probs, labels, "multilabel", resamples=5)
    ends = np.array([got["auc"].low, got["auc"].high])
    want = np.sqrt(2) * scipy.stats.norm.ppf(ends)
    np.testing.assert_allclose([got["d_prime"].low, got["d_prime"].high], want)


def test_a_perfect_ranking_of_few_positive_clips_is_not_certain():
    labels = np.zeros((50, 2), int)
    labels[:3, 0] = labels[1:3, 1] = 1
    got = iv.metric_intervals(0.8 * labels + 0.1, labels, "multilabel", resamples=5)
    # Wilson's lower end for five positive clips of five.
    for name in ("map", "auc"):
        assert got[name].value == 1.0
        np.testing.assert_allclose(got[name].low, 5 / (5 + 1.959964**2), rtol=1e-6)
    assert got["map_common"].value is None and got["d_prime"].value is None


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
