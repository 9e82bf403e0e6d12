"""What the quickstart ends with: figures by scikit-learn, and words that follow the figures."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.helpers.evaluation_examples import LABELS
from vipann_tf.cli.printing.findings import print_demonstration
from vipann_tf.evaluation.demonstration import medians, unheard_in_words
from vipann_tf.evaluation.results import KINDS, Answers, Results, write_clip_csv
from vipann_tf.evaluation.stored_results import StoredResults, read_results
from vipann_tf.evaluation.summary import summarise

KNOWN, UNHEARD = 40, 30
# Shift of the unheard sounds' uncertainty, in standard deviations -> what is said of it.
VERDICTS = {
    2.0: ("it notices that they are unfamiliar", "it can hold back unheard sounds"),
    0.6: ("it notices some of them", "cannot reject unheard ones by itself"),
    0.0: ("it does not notice them", "look to this network like those it knows"),
    -2.0: ("it is surer of them than of", "look more familiar than those it knows"),
}


def _answers(probs: np.ndarray, total: np.ndarray, prefix: str) -> Answers:
    shares = {"total": 1.0, "aleatoric": 0.75, "epistemic": 0.25}
    return Answers(
        clip_ids=tuple(f"{prefix}-{i}" for i in range(len(probs))),
        probs=probs,
        **{kind: total * share for kind, share in shares.items()},
        **{f"label_{kind}": np.zeros_like(probs) for kind in KINDS},
    )


def stored(folder, shift: float, wrong: int = 10) -> StoredResults:
    """Return results of a model whose first answers are wrong, as `evaluate` writes them."""
    rng = np.random.default_rng(0)
    truth = np.eye(len(LABELS), dtype=int)[np.arange(KNOWN) % len(LABELS)]
    answered = truth.copy()
    answered[:wrong] = np.roll(answered[:wrong], 1, axis=1)
    unheard = np.eye(len(LABELS))[np.arange(UNHEARD) % len(LABELS)]
    results = Results(
        model="m",
        dataset="d",
        split="fold5",
        task="multiclass",
        labels=LABELS,
        answers=_answers(0.6 * answered + 0.08, np.exp(rng.normal(size=KNOWN)), "known"),
        truth=truth,
        num_draws=5,
        seed=0,
        command="",
        outside={
            "others": _answers(0.6 * unheard + 0.08, np.exp(rng.normal(shift, 1, UNHEARD)), "other")
        },
    )
    summary = summarise(results, resamples=200)
    (folder / "metrics.json").write_text(json.dumps(summary), encoding="utf-8")
    write_clip_csv(results, folder / "predictions.csv")
    return read_results(folder)


def test_the_medians_are_those_of_the_clips(tmp_path):
    found = stored(tmp_path, 0.6)
    right, wrong, unheard = medians(found)
    total = found.uncertainty["fold5"]["total"]
    assert (right.clips, wrong.clips, unheard.clips) == (KNOWN - 10, 10, UNHEARD)
    # The middle of an even number of values lies between two of them.
    assert wrong.total == pytest.approx(sum(sorted(total[:10])[4:6]) / 2)
    assert right.total == pytest.approx(sum(sorted(total[10:])[14:16]) / 2)
    assert right.epistemic == pytest.approx(right.total / 4)
    others = found.uncertainty["others"]["epistemic"]
    assert unheard.epistemic == pytest.approx(sum(sorted(others)[14:16]) / 2)
    assert "others" in unheard.sounds


@pytest.mark.parametrize("shift", VERDICTS)
def test_the_words_follow_the_figures(tmp_path, shift):
    found = stored(tmp_path, shift)
    text = " ".join(unheard_in_words(found))
    known, others = found.uncertainty["fold5"]["epistemic"], found.uncertainty["others"]
    auroc = roc_auc_score(np.repeat([0, 1], [KNOWN, UNHEARD]), np.r_[known, others["epistemic"]])
    assert f"more epistemic uncertainty in {100 * auroc:.0f} (" in text
    above = np.mean(others["epistemic"] > np.median(known)) * UNHEARD
    assert f"{above:.0f} of 30 unheard sounds have more epistemic uncertainty than half" in text
    assert "15 would be chance" in text
    # At least 95 % of 40 clips are 38: the threshold is the third largest value.
    refused = np.mean(others["epistemic"] > sorted(known)[37])
    assert f"refuses {100 * refused:.0f} of 100 unheard ones" in text
    for words in VERDICTS[shift]:
        assert words in text
    for other in set(VERDICTS) - {shift}:
        assert not any(words in text for words in VERDICTS[other])


def test_it_fits_a_terminal(tmp_path, capsys):
    print_demonstration(stored(tmp_path, 0.6))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert [line.split()[-3] for line in lines[2:5]] == ["30", "10", "30"]


def test_without_errors_there_is_nothing_to_warn_of(tmp_path, capsys):
    print_demonstration(stored(tmp_path, 2.0, wrong=0))
    shown = capsys.readouterr().out
    assert "All its answers are right" in shown
    (line,) = [line for line in shown.splitlines() if "wrong answer " in line and " 0 " in line]
    assert line.split()[-3:] == ["0", "-", "-"]
