"""Class balance: the label histogram after sampling, in closed form and by counting."""

import numpy as np
import pytest

from tests.helpers import small_data
from vipann_tf.records.balance import MAX_REPEATS, log_factors
from vipann_tf.records.pipeline import training_batches


def expected_counts(label_sets, factors, scale, labels):
    counts = np.zeros(labels)
    for members, clips in label_sets.items():
        counts[list(members)] += clips * np.exp(scale + factors[list(members)].sum())
    return counts


def test_single_labels_are_repeated_in_inverse_proportion():
    label_sets = {(0,): 1000, (1,): 100, (2,): 25}
    factors, scale = log_factors(label_sets, 3)
    weights = np.exp(factors + scale)
    np.testing.assert_allclose(weights * [1000, 100, 25], (weights * [1000, 100, 25])[0], rtol=1e-6)
    assert weights.max() == pytest.approx(MAX_REPEATS)


def multilabel(seed=0, labels=12, common=20_000, rare=20):
    """Counts from `rare` to `common`; the common labels lie on a third of all other clips too."""
    rng = np.random.default_rng(seed)
    counts = np.geomspace(common, rare, labels).astype(int)
    label_sets = {}
    for label, count in enumerate(counts):
        for _ in range(count):
            members = {label} | {other for other in (0, 1) if rng.random() < 1 / 3}
            if rng.random() < 0.2:
                members.add(int(rng.integers(4)) if label < 4 else label - 1)
            key = tuple(sorted(members))
            label_sets[key] = label_sets.get(key, 0) + 1
    return label_sets


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_histogram_is_flat(seed):
    label_sets = multilabel(seed)
    before = np.zeros(12)
    for members, clips in label_sets.items():
        before[list(members)] += clips
    assert before.max() / before.min() > 1000
    after = expected_counts(label_sets, *log_factors(label_sets, 12), 12)
    assert after.max() / after.min() < 1.1, after


def test_inverse_counts_alone_would_not_do():
    """The reason for fitting: factors from counts leave the common labels three times too many."""
    label_sets = multilabel()
    counts = np.zeros(12)
    for members, clips in label_sets.items():
        counts[list(members)] += clips
    naive = np.zeros(12)
    for members, clips in label_sets.items():
        naive[list(members)] += clips * (1 / counts[list(members)]).max()
    assert naive.max() / naive.min() > 3


def test_labels_that_never_come_alone_stay_within_bounds():
    label_sets = {(0, 1): 500, (0,): 2, (2,): 500, (): 100}
    factors, scale = log_factors(label_sets, 4)
    assert np.isfinite(factors).all() and factors[3] == 0
    weights = {m: np.exp(scale + factors[list(m)].sum()) for m in label_sets}
    assert max(weights.values()) <= MAX_REPEATS * (1 + 1e-9) and min(weights.values()) > 1e-3


def test_very_rare_labels_are_not_repeated_without_end():
    few, many = ({(0,): 1000, (1,): count} for count in (1, 20))
    repeats = [np.subtract(*log_factors(sets, 2)[0][::-1]) for sets in (few, many)]
    assert repeats[0] == pytest.approx(repeats[1])


def test_no_labels_at_all():
    factors, scale = log_factors({(): 7}, 2)
    assert factors.tolist() == [0, 0] and scale == 0


COUNTS = [19_000, 1_500, 150, 20]  # by rarest label; label a lies on half of the others' clips too


def uneven(number):
    for label, count in zip("abcd", COUNTS, strict=True):
        if number < count:
            return (label,) if label == "a" or number % 2 else (label, "a")
        number -= count
    raise AssertionError(number)


def test_sampled_histogram_is_flat(tmp_path):
    info = small_data.write(tmp_path / "set", {"train": sum(COUNTS)}, labels=uneven)
    counts = np.array(info.splits["train"].label_counts)
    assert counts.min() == 20 and counts.max() / counts.min() > 990
    stream = training_batches(tmp_path / "set", ["train"], batch_size=64, seed=0, balance=True)
    sampled = np.zeros(4)
    seen = set()
    for batch in stream:
        first_pass = batch["epoch"].numpy() == 0
        sampled += batch["labels"].numpy()[first_pass].sum(axis=0)
        seen.update(batch["clip_id"].numpy()[first_pass])
        if not first_pass.all():
            break
    # Some 150 draws a label (standard error 8 %); every clip of the rarest is among them.
    assert sampled.max() / sampled.min() < 1.5, sampled
    rare = [str(n).encode() for n in range(sum(COUNTS) - 20, sum(COUNTS))]
    assert seen.issuperset(rare)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_a_clip_comes_as_often_as_its_factor_says(tmp_path, task):
    """Repeats of one clip in one epoch are the two integers around its factor."""

    def labels(number):
        return ("b",) if number < 30 else ("a",)

    small_data.write(tmp_path / "set", {"train": 120}, labels=labels, task=task)
    factors, scale = log_factors({(0,): 90, (1,): 30}, 2)
    stream = training_batches(tmp_path / "set", ["train"], batch_size=1, seed=0, balance=True)
    repeats = np.zeros(120)
    for batch in stream:
        if batch["epoch"][0] > 0:
            break
        repeats[int(batch["clip_id"][0])] += 1
    for clips, factor in ((repeats[:30], factors[1]), (repeats[30:], factors[0])):
        times = np.exp(factor + scale)
        assert set(clips) <= {np.floor(times), np.ceil(times)}
        spread = np.sqrt((times % 1) * (1 - times % 1) / len(clips))
        assert abs(clips.mean() - times) < 4 * spread + 1e-9
