"""Clips of one recording are not independent: intervals, cross-fits, and what is told of them."""

import csv
import dataclasses

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from click.testing import CliRunner

from tests.evaluation.test_pooled import stored
from tests.helpers.dataset_layouts import audio
from tests.helpers.evaluation_examples import example_results
from tests.helpers.light_model import write_light_model
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.cli.printing.findings import print_evaluation
from vipann_tf.datasets.windowing import cut_into_windows
from vipann_tf.errors import UserError
from vipann_tf.evaluation.calibrate import fit_calibration
from vipann_tf.evaluation.comparison_rows import paired_rows
from vipann_tf.evaluation.intervals import metric_intervals, paired_auroc
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.evaluation.plain_words import few_groups, of_groups
from vipann_tf.evaluation.stored_results import pooled, read_results
from vipann_tf.evaluation.summary import summarise
from vipann_tf.records.prepare import prepare
from vipann_tf.uncertainty.thresholds import Wanted

GROUPS = np.arange(40) // 2  # twenty pairs of clips


def repeated(results, times=3, shared=True):
    """Every clip several times, as if it had been cut into windows that are all alike."""

    def of(answers):
        fields = {
            field.name: np.repeat(getattr(answers, field.name), times, axis=0)
            for field in dataclasses.fields(answers)
            if field.name not in ("clip_ids", "groups")
        }
        ids = [f"{name}@{i}" for name in answers.clip_ids for i in range(times)]
        groups = tuple(np.repeat(answers.clip_ids, times).tolist())
        return type(answers)(clip_ids=tuple(ids), groups=groups if shared else None, **fields)

    return dataclasses.replace(
        results,
        answers=of(results.answers),
        truth=np.repeat(results.truth, times, axis=0),
        outside={name: of(answers) for name, answers in results.outside.items()},
    )


def width(interval):
    return interval["high"] - interval["low"]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_same_clip_again_says_nothing_new(task):
    once = example_results(task)
    alone = summarise(once, resamples=400)
    again = summarise(repeated(once), resamples=400)
    ungrouped = repeated(once, shared=False)
    fooled = summarise(ungrouped, resamples=400)
    assert (alone["groups"], again["groups"], fooled["groups"]) == (None, 40, None)
    names = [x for x, found in alone["metrics"].items() if found["low"] is not None and x != "ece"]
    found = [(name, *(x["metrics"][name] for x in (alone, again, fooled))) for name in names]
    found += [
        (kind, *(x["uncertainty"][kind] for x in (alone, again, fooled)))
        for kind in ("total", "epistemic")
    ]
    found += [
        (f"{score} outside", *(x["ood"]["other <sounds>"]["scores"][score]["auroc"] for x in three))
        for three in [(alone, again, fooled)]
        for score in ("total", "energy")
    ]
    for name, first, second, third in found:
        assert second["value"] == pytest.approx(first["value"]), name
        # The accuracy is nearly 1, where the log-odds of the jackknife are wider than quantiles.
        most = 1.4 if name == "accuracy" else 1.15
        assert 0.85 < width(second) / width(first) < most, name
        assert width(third) < 0.7 * width(first), name
    lines = zip(alone["per_label"], again["per_label"], strict=True)
    if task == "multilabel":
        for first, second in lines:
            if first["auc"] is not None:
                assert second["auc"] == pytest.approx(first["auc"])
                assert second["auc_low"] == pytest.approx(first["auc_low"], abs=0.1)


@pytest.mark.parametrize("groups", [6, 40])
def test_intervals_cover_what_other_recordings_give(groups):
    """Recordings differ in how hard they are. Ten clips of each; few recordings, too."""
    rng = np.random.default_rng(groups)

    def density(hard):
        return scipy.special.expit(1 + hard) * scipy.stats.norm.pdf(hard, scale=1.5)

    expected = scipy.integrate.quad(density, -12, 12)[0]
    probs = np.tile([0.7, 0.2, 0.1], [10 * groups, 1])
    member = np.repeat(np.arange(groups), 10)
    held, fooled, runs = 0, 0, 200
    for _ in range(runs):
        right = scipy.special.expit(1 + rng.normal(scale=1.5, size=groups))[member]
        truth = np.eye(3)[(rng.random(10 * groups) > right).astype(int)]
        for name, given in (("groups", member), ("clips", None)):
            found = metric_intervals(probs, truth, "multiclass", resamples=60, groups=given)
            inside = found["accuracy"].low <= expected <= found["accuracy"].high
            held, fooled = held + inside * (name == "groups"), fooled + inside * (name == "clips")
    # Three standard errors of the share are 0.05.
    assert held / runs > 0.9
    assert fooled / runs < 0.8


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_one_recording_says_nothing_of_others(task, tmp_path):
    """Then there are no ends, rather than two that are equal."""
    results = example_results(task, groups=[7] * 40)
    summary = summarise(results, resamples=50)
    found = {**summary["metrics"], **summary["uncertainty"]}
    found |= {score: x["auroc"] for score, x in summary["ood"]["other <sounds>"]["scores"].items()}
    found["error"] = summary["selective"]["total"]["error_auroc"]
    for name, interval in found.items():
        ends = interval["low"], interval["high"]
        assert ends == (None, None) or interval["value"] in (0.0, 1.0), name
    assert summary["groups"] == 1 and "of 1 recording or group" in few_groups(summary)
    read = stored(results, tmp_path / "one")
    for row in paired_rows(read, read, "a", "b"):
        assert row.found.low is None, row.metric
    same = np.zeros(40), np.zeros(25)
    outside = [f"{i}" for i in range(25)]
    assert paired_auroc([[same, same]], [["7"] * 40], [outside]).low is None


def test_files_keep_it(tmp_path):
    results = example_results("multiclass", groups=GROUPS)
    read = stored(results, tmp_path / "grouped")
    assert read.groups == results.groups and read.summary["groups"] == 20
    with (tmp_path / "grouped/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows[:4]] == ["0", "0", "1", "1"]
    assert rows[-1]["group"] == rows[-1]["clip_id"]  # sounds that share nothing
    assert read.outside_groups["other <sounds>"] == read.outside_ids["other <sounds>"]
    alone = stored(example_results("multiclass"), tmp_path / "alone")
    assert alone.groups is None and "group" not in (tmp_path / "alone/predictions.csv").read_text()
    # Of two folds, and of two answers to each clip, recordings stay together.
    assert pooled([read, read]).groups == 2 * read.groups


def test_comparisons_draw_recordings(tmp_path):
    first, second = (repeated(example_results("multiclass", seed=seed), times=4) for seed in (3, 4))
    second = dataclasses.replace(
        second,
        answers=dataclasses.replace(
            second.answers, probs=0.5 * second.answers.probs + 0.1, total=second.answers.total * 2
        ),
    )
    found = {}
    for name in ("grouped", "alone"):
        pair = []
        for number, results in enumerate((first, second)):
            groups = results.groups if name == "grouped" else None
            answers = dataclasses.replace(results.answers, groups=groups)
            results = dataclasses.replace(results, answers=answers)
            pair.append(stored(results, tmp_path / f"{name}{number}"))
        found[name] = {row.metric: row.found for row in paired_rows(*pair, "a", "b")}
    for metric in ("nll", "brier", "mean total (nats)"):
        grouped, alone = found["grouped"][metric], found["alone"][metric]
        assert grouped.value == alone.value
        ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
        assert ratio == pytest.approx(2, rel=0.2), metric  # the root of four copies
    # It is enough that one of them knows the recordings.
    results = [read_results(tmp_path / name) for name in ("alone0", "grouped1")]
    half = {row.metric: row.found for row in paired_rows(*results, "a", "b")}
    assert half["nll"] == found["grouped"]["nll"]


def test_a_calibration_is_measured_on_other_recordings():
    """Copies of a clip on both sides would let thresholds look as if they held."""
    rng = np.random.default_rng(0)
    logits = np.repeat(2 * rng.normal(size=(1, 30, 3)), 6, axis=1)
    truth = np.repeat(np.eye(3)[rng.integers(3, size=30)], 6, axis=0)  # nothing can be known
    groups = [str(i) for i in np.repeat(np.arange(30), 6)]
    wanted = Wanted("precision", 0.6)
    alone = fit_calibration(logits, truth, "multiclass", wanted=wanted)
    grouped = fit_calibration(logits, truth, "multiclass", wanted=wanted, groups=groups)
    assert (alone.groups, grouped.groups) == (None, 30)
    assert grouped.after["nll"] != alone.after["nll"]
    values = [np.nanmean(x.detection.crossed.value("precision")) for x in (alone, grouped)]
    assert values[0] > values[1] + 0.1
    with pytest.raises(UserError, match="the 180 clips are of one recording or group; .* at least"):
        fit_calibration(logits, truth, "multiclass", groups=["a"] * 180)


def test_it_is_said(capsys):
    summary = summarise(example_results("multiclass", groups=GROUPS), resamples=10)
    print_evaluation(summary)
    shown = capsys.readouterr().out
    assert "a dataset fold5, 40 clips of 20 recordings or groups, 6 draws" in shown
    assert "rough" not in shown and few_groups(summary) == ""
    few = summarise(example_results("multiclass", groups=np.arange(40) // 14), resamples=10)
    print_evaluation(few)
    shown = capsys.readouterr().out
    assert "The 40 clips are of 3 recordings or groups, which are too few" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert of_groups({}) == few_groups({}) == ""
    assert of_groups({"groups": 1}) == " of 1 recording or group"


def test_windows_of_prepared_recordings_are_of_their_recordings(tmp_path):
    """From the recordings to the results, in one go."""
    for kind in ("owl", "fox"):
        for number in range(2):
            audio(tmp_path / "sounds" / kind / f"{number}.wav", seconds=3.0, rate=32_000)
    source = datasets.load("folder", tmp_path / "sounds")
    source = dataclasses.replace(
        source, clips=[dataclasses.replace(clip, split="test") for clip in source.clips]
    )
    info = prepare(cut_into_windows(source, 1.0), tmp_path / "data", workers=1)
    write_light_model(tmp_path / "model", info)
    tested = ModelUnderTest.open(tmp_path / "model")
    found = tested.predict(tmp_path / "data", ["test"])
    assert len(found.groups) == 12
    recordings = [clip.partition("@")[0] for clip in found.clip_ids]
    assert len(set(zip(recordings, found.groups, strict=True))) == len(set(recordings)) == 4
    command = ["evaluate", "model", "--data", "data", "--split", "test", "--out", "results"]
    shown = CliRunner().invoke(
        main, [str(tmp_path / x) if x in ("model", "data", "results") else x for x in command]
    )
    assert shown.exit_code == 0, shown.output
    assert "test, 12 clips of 4 recordings or groups, 2 draws" in shown.output
    report = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    assert "12 clips of 4 recordings or groups" in report and "finds a fault too easily" in report
