"""Thresholds by `calibrate`: on new clips of a known distribution, and as they are printed."""

import numpy as np
import pytest
import scipy.special
from click.testing import CliRunner

from vipann_tf.cli import main
from vipann_tf.cli.printing.thresholds import print_thresholds
from vipann_tf.evaluation.calibrate import fit_calibration
from vipann_tf.evaluation.detection_thresholds import DetectionFit, fit_detection, held_out_counts
from vipann_tf.uncertainty.thresholds import Wanted, count_detections, fit_thresholds

FACTOR = 2.5  # of overconfidence


def _clips(clips: int, labels: int, seed: int, task: str = "multilabel"):
    """Logits `[1, clips, labels]` that are `FACTOR` times those that the truth is drawn from."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(clips, labels)) - 1
    if task == "multiclass":  # the largest of logits with Gumbel noise has softmax probabilities
        chosen = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        return FACTOR * logits[None], np.eye(labels, dtype=int)[chosen]
    truth = (rng.random(logits.shape) < scipy.special.expit(logits)).astype(int)
    return FACTOR * logits[None], truth


def _answers(logits, temperature: float, task: str):
    scaled = logits[0] / temperature
    return scipy.special.softmax(scaled, 1) if task == "multiclass" else scipy.special.expit(scaled)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize(("measure", "value"), [("precision", 0.7), ("recall", 0.6)])
def test_new_clips_reach_what_is_wanted(task, measure, value):
    logits, truth = _clips(4000, 4, seed=0, task=task)
    found = fit_calibration(logits, truth, task, wanted=Wanted(measure, value))
    new_logits, new_truth = _clips(30_000, 4, seed=1, task=task)
    probs = _answers(new_logits, found.calibration.temperature, task)
    thresholds = found.detection.fit.thresholds
    new = count_detections(probs, new_truth, task, thresholds)
    trials = found.detection.fit.counts.detected if measure == "precision" else truth.sum(axis=0)
    error = 4 * np.sqrt(value * (1 - value) / trials)
    assert (np.abs(new.value(measure) - value) < error).all()
    assert (np.abs(found.detection.crossed.value(measure) - value) < error).all()
    assert found.detection.crossed.positives.tolist() == truth.sum(axis=0).tolist()
    # On the same clips it is reached by construction.
    assert (found.detection.fit.counts.value(measure) >= value).all()


def test_few_clips_look_better_than_they_are_except_to_cross_fitting():
    """Over many labels of 60 clips: precision where chosen, by cross-fitting, and in truth."""
    wanted, labels = Wanted("precision", 0.8), 400
    logits, truth = _clips(60, labels, seed=2)
    probs, folds = _answers(logits, FACTOR, "multilabel"), np.arange(60) % 5
    crossed = [held_out_counts(probs, truth, "multilabel", wanted, folds == i) for i in range(5)]
    found = fit_detection(probs, truth, "multilabel", wanted, crossed)
    new_logits, new_truth = _clips(4000, labels, seed=3)
    new = count_detections(
        _answers(new_logits, FACTOR, "multilabel"), new_truth, "multilabel", found.fit.thresholds
    )
    same, crossed, real = (
        counts.hits.sum() / counts.detected.sum()
        for counts in (found.fit.counts, found.crossed, new)
    )
    assert same >= 0.8
    assert same - real > 0.05  # what selection feigns
    # Folds choose on 48 clips, not 60, so that cross-fitting is a little pessimistic.
    assert real - 0.05 < crossed < real + 0.02


def test_nothing_is_chosen_unasked_and_nothing_else_changes():
    logits, truth = _clips(300, 3, seed=4)
    plain = fit_calibration(logits, truth, "multilabel")
    asked = fit_calibration(logits, truth, "multilabel", wanted=Wanted("recall", 0.5))
    assert plain.detection is None and plain.calibration.detection is None
    assert (plain.calibration, plain.after) == (asked.calibration, asked.after)
    stored = asked.detection.to_metadata(300, 5.0)
    assert stored.thresholds == asked.detection.fit.thresholds.tolist()


@pytest.mark.parametrize("measure", ["precision", "recall"])
def test_rounding_of_the_answers_changes_no_detection(measure):
    """The clip on whose probability a threshold lies passes it in another batch, too."""
    logits, truth = _clips(200, 40, seed=5)
    probs = _answers(logits, FACTOR, "multilabel")
    wanted = Wanted(measure, 0.7)
    exact = fit_thresholds(probs.astype(np.float32), truth, "multilabel", wanted, min_positives=5)
    found = fit_detection(probs, truth, "multilabel", wanted, [exact.counts]).fit
    # A millionth lower, or half of the way to the next clip; of the precision of answers.
    known = ~np.isnan(exact.thresholds)
    assert known.sum() > 30 and (np.isnan(found.thresholds) == ~known).all()
    lower = (exact.thresholds - found.thresholds)[known]
    assert (lower > 0).all() and (lower < 1.1e-6).all()
    assert all(np.float32(x) == x for x in found.thresholds[known])
    rounded = np.nextafter(probs.astype(np.float32), np.float32(0))
    for answers in (probs, rounded):
        counts = count_detections(answers, truth, "multilabel", found.thresholds)
        assert counts.detected.tolist() == exact.counts.detected.tolist()
        assert counts.hits.tolist() == exact.counts.hits.tolist()


def test_neighbours_in_float32_stay_apart():
    lower, upper = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    probs = np.repeat([lower, upper], 5)[:, None].astype(np.float64)
    truth = np.repeat([0, 1], 5)[:, None]
    wanted = Wanted("precision", 1.0)
    fit = fit_thresholds(probs, truth, "multilabel", wanted, min_positives=5)
    found = fit_detection(probs, truth, "multilabel", wanted, [fit.counts]).fit
    assert lower < found.thresholds[0] <= upper


def _found(probs, truth, wanted) -> DetectionFit:
    fit = fit_thresholds(probs, truth, "multilabel", wanted, min_positives=5)
    return DetectionFit(fit, fit.counts)


def test_the_table_fits_and_names_what_has_no_threshold(capsys):
    rng = np.random.default_rng(0)
    truth = rng.random((50, 30)) < 0.5
    truth[:, 1:26] = False
    truth[:3, 1] = True
    probs = np.where(truth, 0.8, 0.3)
    probs[:, 27] = 0.5
    labels = ["Turdus merula_Common Blackbird", "kite", *(f"bird {i}" for i in range(2, 30))]
    print_thresholds(_found(probs, truth, Wanted("precision", 0.975)), labels)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Thresholds for precision 0.975; ")
    assert lines[1].replace("(95 %)", "").split() == [
        "label",
        "threshold",
        "precision",
        "recall",
        "positives",
    ]
    assert lines[2].startswith("Turdus merula_Comm...   0.800000  1.00 (")
    assert lines[2].endswith(f" {truth[:, 0].sum()}")
    text = " ".join(lines)
    assert "No threshold for 25, of which fewer than 5 clips have the label: kite (3), bird" in text
    assert "bird 20 (0), ... No threshold for 1, whose highest precision is below 0.975:" in text
    assert text.endswith(f"bird 27 ({truth[:, 27].mean():.3f})")


def test_no_threshold_at_all_is_no_table(capsys):
    probs, truth = np.full([3, 2], 0.5), np.eye(3, 2)
    print_thresholds(_found(probs, truth, Wanted("recall", 0.9)), ["owl", "rain"])
    expected = "No threshold for 2, of which fewer than 5 clips have the label: owl (1), rain (1)\n"
    assert " ".join(capsys.readouterr().out.split()) == expected.strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "0.9", "--recall", "0.8"], "precision 0.9 and recall 0.8 were given"),
        (["--precision", "1.2"], "precision is 1.2; it must be above 0 and at most 1"),
        (["--recall", "0"], "recall is 0.0; it must be above 0 and at most 1"),
    ],
)
def test_wrong_options_are_named_before_the_model_is_read(options, message):
    asked = ["calibrate", "nowhere", "--data", "nothing", "--out", "none", *options]
    shown = CliRunner().invoke(main, asked)
    assert shown.exit_code == 1
    assert message in shown.output
