"""Every place where a seed becomes a key draws what it drew: the table is in docs/design.md.

`tests/models/test_randomness.py` holds the keys of draws and of training noise to published
numbers, and `answers.npz` those of an exported model.
"""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import small_data
from tests.helpers.goldens import check_json
from tests.helpers.networks import architecture
from vipann_tf.audio import augment
from vipann_tf.datasets import synthetic
from vipann_tf.evaluation.calibrate import fit_calibration
from vipann_tf.models.flipout import FlipoutDense
from vipann_tf.models.randomness import TrainingNoise
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import Augment
from vipann_tf.records.pipeline import training_batches
from vipann_tf.records.subset import choose_clips
from vipann_tf.training.augmentation import on_log_mel, on_waveform
from vipann_tf.uncertainty.bootstrap import resample_weights
from vipann_tf.uncertainty.consistency import calibrated_ece
from vipann_tf.uncertainty.ood import ood_auroc_interval


@pytest.fixture
def golden(request):
    """Function of a name and values that compares them with what was recorded."""

    def compare(name: str, found: dict) -> None:
        plain = {key: np.asarray(value).tolist() for key, value in found.items()}
        check_json(pathlib.Path(__file__).parent / f"keys_{name}.json", plain, request)

    return compare


def test_initial_kernels(golden):
    """By crc32 of (seed, name) in a network, and by crc32 of the name in a layer alone."""
    found = {}
    for kind in ("deterministic", "flipout"):
        model = VIPANN(architecture(kind), seed=3)
        for name, variable in model.named_variables().items():
            if name.rpartition("/")[-1] in ("kernel", "kernel_loc"):
                found[f"{kind}/{name}"] = variable.numpy().ravel()[:3]
    layer = FlipoutDense(4, name="fc1")
    layer.build([None, 3])
    found["layer alone"] = layer.kernel_loc.numpy().ravel()
    golden("initial_kernels", found)


def test_order_of_clips(golden, tmp_path):
    """Of shards, of records in the buffer, and of the copies that balance labels."""
    small_data.write(tmp_path / "set", {"train": 11})
    found = {}
    for balance in (False, True):
        stream = training_batches(
            tmp_path / "set", ["train"], batch_size=5, seed=2**40 + 7, balance=balance
        )
        batches = [batch["clip_id"].numpy() for batch in stream.take(6)]
        found[f"balance {balance}"] = [int(clip) for batch in batches for clip in batch]
    golden("order", found)


def test_share_of_the_clips(golden):
    clips = [(b"%d" % i, (0 if i < 40 else 1,)) for i in range(65)]
    chosen = {f"seed {seed}": choose_clips(clips, 0.2, seed) for seed in (0, 1)}
    golden("subset", {key: [int(clip) for clip in value] for key, value in chosen.items()})


def test_augmentation(golden):
    """The keys of a step, by purpose, and those of the functions behind them."""
    noise = TrainingNoise(tf.constant(7, tf.int64), tf.constant(3, tf.int64))
    ramp = tf.tile(tf.range(1.0, 401.0)[None], [3, 1])
    labels = tf.eye(3)
    shifted = on_waveform(Augment(time_shift_s=0.1), 1000)(ramp, labels, noise)[0]
    louder = on_waveform(Augment(gain_db=6), 1000)(ramp, labels, noise)[0]
    mixed = on_log_mel(Augment(mixup_alpha=0.5))(tf.ones([3, 4, 5]), labels, noise)[1]
    slope = tf.ones([3, 101, 64]) * tf.range(1.0, 102.0)[None, :, None]
    masked = on_log_mel(Augment(spec_augment=True))(slope, labels, noise)[0]
    hidden = tf.reduce_all(masked != slope, axis=2)
    seed = tf.constant([5, 6], tf.int64)
    found = {
        "shift": shifted[:, 0],
        "gain": louder[:, 0],
        "mixup": mixed,
        "hidden frames": tf.reduce_sum(tf.cast(hidden, tf.int32), axis=1),
        "mean of what is left": tf.reduce_mean(masked, [1, 2]),
        "gain by a plain seed": augment.random_gain(ramp, seed, 6.0)[:, 0],
    }
    golden("augmentation", found)


def test_synthetic_clips(golden):
    """Labels by one stream, sound by another, both by crc32 of what they are for."""
    source = synthetic.source("multilabel", clips=12, seconds=1.0, seed=5)
    golden(
        "synthetic",
        {
            "labels": [", ".join(clip.labels) for clip in source.clips],
            "first samples": [source.decode(clip, 32_000)[1000:1003] for clip in source.clips[:4]],
        },
    )


def test_statistics(golden):
    """Resampled clips, truth drawn from the answers, and folds of a calibration."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4, 23, 3))
    truth = np.eye(3)[rng.integers(0, 3, 23)]
    probs = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=1, keepdims=True)
    interval = ood_auroc_interval(probs[:, 0], probs[:, 1], resamples=50, seed=4)
    calibrated = fit_calibration(logits, truth, "multiclass", seed=4)
    headline, macro = calibrated_ece(probs, "multiclass", seed=4)
    golden(
        "statistics",
        {
            "clips": resample_weights(9, 3, seed=4),
            "groups": resample_weights(9, 3, seed=4, groups=list("aabbbccdd")),
            "ood interval": [interval.low, interval.high],
            "ece of calibrated answers": [headline[:5], macro[:5]],
            "calibration": [calibrated.after["nll"], calibrated.after["brier"]],
        },
    )
