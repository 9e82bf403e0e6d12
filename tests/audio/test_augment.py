"""Augmentation by its properties: distributions within standard errors, and replica invariance."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers.oracles import SIGMAS, within_standard_errors
from vipann_tf.audio import augment
from vipann_tf.errors import UserError

SEED = tf.constant([11, 4], tf.int64)
MANY = 4000  # examples where a distribution is estimated


def mixed_shares(alpha, seed=SEED, count=MANY):
    """The lambda of every example: features 1 at even and 0 at odd positions reveal it."""
    features = tf.constant(np.arange(count)[:, None] % 2 == 0, tf.float32)
    mixed, _ = augment.mixup(features, features, seed, alpha)
    mixed = mixed.numpy()[:, 0]
    return np.where(np.arange(count) % 2 == 0, mixed, 1 - mixed)


# ------------------------------------------------------------------------------------- mixup


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 3.0, 50.0])
def test_mixup_shares_follow_the_symmetric_beta(alpha):
    shares = mixed_shares(alpha)
    assert np.isfinite(shares).all() and (shares >= 0).all() and (shares <= 1).all()
    # float32 rounds shares near 1, where small alphas have much of their mass: blunt both alike.
    clipped = np.clip(shares.astype(np.float64), 1e-4, 1 - 1e-4)
    quantiles = stats.beta(alpha, alpha).ppf((np.arange(MANY) + 0.5) / MANY)
    distance = stats.ks_2samp(clipped, np.clip(quantiles, 1e-4, 1 - 1e-4)).statistic
    assert distance < 1.95 * np.sqrt(1 / MANY)  # Kolmogorov: exceeded with probability 0.001
    within_standard_errors(shares, 0.5)
    within_standard_errors((shares - 0.5) ** 2, 1 / (4 * (2 * alpha + 1)))


@pytest.mark.parametrize("radius", [0.0, 1e-38, 1.0 - 2**-24])
@pytest.mark.parametrize("alpha", [0.001, 1.0, 1e4])
def test_beta_is_finite_at_the_ends(radius, alpha):
    angle = tf.linspace(0.0, 1.0, 17)[:-1]
    share = augment._symmetric_beta(tf.fill([16], radius), angle, alpha).numpy()
    assert np.isfinite(share).all() and (share >= 0).all() and (share <= 1).all()


def test_mixup_mixes_pairs_with_one_share_for_features_and_labels():
    random = np.random.default_rng(0)
    features = random.normal(size=[6, 5, 3]).astype(np.float32)
    labels = np.eye(6, 7, dtype=np.float32)
    mixed, mixed_labels = augment.mixup(features, labels, SEED, 1.0)
    for i in range(6):
        j = i ^ 1
        share = mixed_labels[i, i].numpy()
        np.testing.assert_allclose(mixed_labels[i, j], 1 - share, atol=1e-6)
        expected = share * features[i] + (1 - share) * features[j]
        np.testing.assert_allclose(mixed[i], expected, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(mixed_labels, -1), np.ones(6), atol=1e-6)


def test_mixup_shares_are_independent_between_the_two_of_a_pair():
    shares = mixed_shares(1.0).reshape(-1, 2)
    assert abs(np.corrcoef(shares.T)[0, 1]) < SIGMAS / np.sqrt(MANY / 2)


def test_mixup_keeps_the_expectation_of_labels():
    labels = (np.random.default_rng(1).uniform(size=[MANY, 3]) < [0.5, 0.1, 0.9]).astype(np.float32)
    _, mixed = augment.mixup(labels, labels, SEED, 1.0)
    difference = mixed.numpy() - labels
    for column in difference.T:
        within_standard_errors(column, 0.0)


def test_mixup_of_odd_batches():
    labels = np.eye(5, dtype=np.float32)

    def partners(mixed):
        return [set(np.flatnonzero(row)) for row in mixed.numpy()]

    assert partners(augment.mixup(labels, labels, SEED, 1.0)[1]) == [
        {0, 1},
        {0, 1},
        {2, 3},
        {2, 3},
        {3, 4},
    ]
    offset_3 = augment.mixup(labels, labels, SEED, 1.0, example_offset=3)[1]
    assert partners(offset_3) == [{0, 1}, {1, 2}, {1, 2}, {3, 4}, {3, 4}]
    alone, _ = augment.mixup(labels[:1], labels[:1], SEED, 1.0)
    np.testing.assert_allclose(alone, labels[:1], atol=1e-7)


def test_mixup_keeps_dtypes():
    features = tf.cast(tf.random.stateless_normal([4, 3], [1, 2]), tf.bfloat16)
    mixed, labels = augment.mixup(features, tf.eye(4), SEED, 0.3)
    assert mixed.dtype == tf.bfloat16 and labels.dtype == tf.float32


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_mixup_refuses_alpha(alpha):
    with pytest.raises(UserError, match=f"mixup alpha is {alpha}; it must be above 0"):
        augment.mixup(tf.zeros([2, 3]), tf.zeros([2, 3]), SEED, alpha)


# ------------------------------------------------------------------------------- SpecAugment


def masked(frames=501, bands=64, count=600, **options):
    """Boolean [count, frames, bands]: what spec_augment filled."""
    ones = tf.ones([count, frames, bands])
    return augment.spec_augment(ones, SEED, fill_value=0.0, **options).numpy() == 0


def stripe_lengths(rows):
    """Length of the single stripe of each row [count, length]; fails where it has gaps."""
    lengths = rows.sum(-1)
    edges = np.abs(np.diff(np.pad(rows, [[0, 0], [1, 1]]).astype(int), axis=-1)).sum(-1)
    assert (edges == 2 * (lengths > 0)).all()
    return lengths


@pytest.mark.parametrize(
    ("axis", "on", "off", "width"),
    [
        (1, "time", "freq", 64),
        (2, "freq", "time", 8),
        (1, "time", "freq", 5),
        (2, "freq", "time", 3),
    ],
)
def test_one_stripe_is_uniform_in_width_and_place(axis, on, off, width):
    options = {f"{on}_stripes": 1, f"{on}_drop_width": width, f"{off}_stripes": 0}
    mask = masked(count=2000, frames=201, **options)
    other = 3 - axis
    assert (mask.any(other) == mask.all(other)).all()  # a stripe goes all the way across
    rows = mask.any(other)
    lengths = stripe_lengths(rows)
    assert set(lengths) == set(range(width))  # 0 ... width - 1, as published
    within_standard_errors(lengths, (width - 1) / 2)
    within_standard_errors((lengths - (width - 1) / 2) ** 2, (width**2 - 1) / 12)
    found = rows[lengths > 0]
    start, spare = found.argmax(-1), rows.shape[-1] - lengths[lengths > 0]
    within_standard_errors(start / spare, 0.5)
    assert rows[:, 0].any() and rows[:, -1].any()  # both ends can be reached


def test_share_masked_with_the_published_settings():
    mask = masked(frames=1001, count=500)
    random = np.random.default_rng(5)

    def oracle(total, width):
        covered = np.zeros([500, total], bool)
        for row in covered:
            for _ in range(2):
                length = random.integers(0, width)
                start = random.integers(0, total - length + 1)
                row[start : start + length] = True
        return covered.mean(-1)

    for ours, theirs in [
        (mask.all(2).mean(-1), oracle(1001, 64)),
        (mask.all(1).mean(-1), oracle(64, 8)),
    ]:
        error = np.hypot(ours.std(), theirs.std()) / np.sqrt(500)
        assert abs(ours.mean() - theirs.mean()) < SIGMAS * error


def test_stripes_differ_between_examples_and_seeds():
    first = masked(count=50)
    assert len({row.tobytes() for row in first}) == 50
    ones = tf.ones([50, 501, 64])
    other = augment.spec_augment(ones, [11, 5], fill_value=0.0).numpy() == 0
    assert (first != other).any()


@pytest.mark.parametrize("frames", [1, 2, 101, 255])
def test_short_clips_keep_half_of_each_axis(frames):
    mask = masked(frames=frames, bands=6, count=400)
    assert mask.all(2).sum(-1).max() <= frames / 2
    assert mask.all(1).sum(-1).max() <= 3


def test_no_stripes_changes_nothing_and_fill_value_fills():
    log_mel = tf.random.stateless_normal([3, 40, 7], [1, 2])
    same = augment.spec_augment(log_mel, SEED, time_stripes=0, freq_stripes=0)
    np.testing.assert_array_equal(same, log_mel)
    filled = augment.spec_augment(tf.cast(log_mel, tf.bfloat16), SEED, fill_value=-100.0)
    assert filled.dtype == tf.bfloat16
    kept = filled == tf.cast(log_mel, tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(filled, tf.float32)[~kept], -100.0)
    assert (~kept).numpy().any()


def test_stripes_are_filled_with_the_mean_of_each_band_of_the_clip():
    log_mel = tf.random.stateless_normal([3, 300, 20], [1, 2])
    augmented = augment.spec_augment(log_mel, SEED).numpy()
    changed = augmented != log_mel.numpy()
    means = np.broadcast_to(log_mel.numpy().mean(1, keepdims=True), log_mel.shape)
    assert changed.any(axis=(1, 2)).all()
    np.testing.assert_allclose(augmented[changed], means[changed], atol=1e-6)
    per_band = augment.spec_augment(log_mel, SEED, fill_value=tf.range(20.0)).numpy()
    bands = np.broadcast_to(np.arange(20.0), log_mel.shape)
    np.testing.assert_array_equal(per_band[changed], bands[changed])


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("time_drop_width", 0, "time_drop_width is 0; it must be at least 1"),
        ("freq_drop_width", -8, "freq_drop_width is -8; it must be at least 1"),
        ("time_stripes", -1, "time_stripes is -1; it must be 0"),
        ("freq_stripes", -2, "freq_stripes is -2; it must be 0"),
    ],
)
def test_spec_augment_refuses(option, value, text):
    with pytest.raises(UserError, match=text):
        augment.spec_augment(tf.zeros([1, 9, 4]), SEED, **{option: value})


# ----------------------------------------------------------------------- shift and gain


# ---------------------------------------------------------------------- all of them together
