"""The ranking of a scan's windows: against a sort of all of them."""

import csv
import io
import shutil

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.recordings import events, wav
from vipann_tf import datasets
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.rank import diverse_order
from vipann_tf.scans.ranking import rank_windows, similar_windows


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def scanned(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("season")
    for i in range(3):
        (folder / f"{i}.wav").write_bytes(wav(events(8.0 + i, seed=i)))
    out = tmp_path_factory.mktemp("scans") / "one"
    result = run("scan", model, folder, "--out", out, "--embeddings")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def windows(scanned):
    return pq.read_table(scanned / "windows").to_pylist()


def apart(rows, count):
    """The first rows that overlap no row before, by brute force."""
    kept = []
    for row in rows:
        if all(
            row["recording"] != x["recording"]
            or row["start_s"] >= x["end_s"]
            or row["end_s"] <= x["start_s"]
            for x in kept
        ):
            kept.append(row)
    return kept[:count]


def places(rows):
    return [(row["recording"], row["start_s"]) for row in rows]


def found_places(ranked):
    return [(x.recording, x.start_s) for x in ranked]


@pytest.mark.parametrize("by", ["total", "aleatoric"])
def test_the_most_uncertain_windows_that_do_not_overlap(scanned, windows, by):
    ranked = rank_windows(scanned, by=by, top=5)
    expected = apart(sorted(windows, key=lambda row: -row[by]), 5)
    assert found_places(ranked) == places(expected)
    assert [x.score for x in ranked] == pytest.approx([row[by] for row in expected])
    labels = [name.removeprefix("probability.") for name in windows[0] if "probability." in name]
    for x, row in zip(ranked, expected, strict=True):
        probs = {label: row[f"probability.{label}"] for label in labels}
        assert x.answer == max(probs, key=probs.get)
        assert x.probability == pytest.approx(max(probs.values()))


def test_by_the_uncertainty_of_a_label(scanned, windows):
    label = next(name for name in windows[0] if "aleatoric." in name).removeprefix("aleatoric.")
    ranked = rank_windows(scanned, by="aleatoric", top=4, label=label)
    expected = apart(sorted(windows, key=lambda row: -row[f"aleatoric.{label}"]), 4)
    assert found_places(ranked) == places(expected)


def test_diversity_is_that_of_rank(scanned, windows):
    ranked = rank_windows(scanned, by="total", top=4, diversity=True)
    rows = apart(sorted(windows, key=lambda row: -row["total"]), len(windows))
    order, _ = diverse_order([row["total"] for row in rows], [row["embedding"] for row in rows], 4)
    assert found_places(ranked) == places([rows[i] for i in order])


def test_likeness_is_an_exact_search(scanned, windows):
    row = windows[7]
    ranked = similar_windows(scanned, np.array(row["embedding"], np.float32), top=3)
    assert (ranked[0].recording, ranked[0].start_s) == (row["recording"], row["start_s"])
    assert ranked[0].score == pytest.approx(1, abs=1e-6)
    vectors = np.array([x["embedding"] for x in windows])
    cosines = vectors @ vectors[7]
    cosines /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[7])
    order = sorted(range(len(windows)), key=lambda i: -cosines[i])
    nearest = apart([{**windows[i], "cosine": cosines[i]} for i in order], 3)
    # Several are alike to six digits, and may change places.
    assert [x.score for x in ranked] == pytest.approx([x["cosine"] for x in nearest], abs=1e-5)


def test_of_each_recorder(model, tmp_path):
    for i, site in enumerate(("north", "south", "south")):
        (tmp_path / site).mkdir(exist_ok=True)
        (tmp_path / site / f"{i}.wav").write_bytes(wav(events(8.0 + i, seed=i)))
    out = tmp_path / "scan"
    assert run("scan", model, tmp_path, "--out", out).exit_code == 0
    ranked = rank_windows(out, by="total", top=3, by_recorder=True)
    rows = sorted(pq.read_table(out / "windows").to_pylist(), key=lambda row: -row["total"])
    expected = []
    for site in ("north", "south"):
        expected += apart([row for row in rows if f"/{site}/" in row["recording"]], 3)
    assert found_places(ranked) == places(expected)
    result = run("rank", out, "--by-recorder", "--top", "1", "--format", "csv")
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    assert "by_recorder out" in run("rank", out, "--by-recorder", "--like", "x").stderr


def test_the_command(scanned, windows, tmp_path):
    result = run("rank", scanned, "--by", "total", "--top", "3", "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    expected = apart(sorted(windows, key=lambda row: -row["total"]), 3)
    assert [row["filename"] for row in rows] == [row["recording"] for row in expected]
    starts = [float(row["start_s"]) for row in rows]
    assert starts == pytest.approx([row["start_s"] for row in expected], abs=1e-3)
    # `prepare csv` takes the list.
    (tmp_path / "next.csv").write_text(result.stdout)
    source = datasets.load("csv", tmp_path / "next.csv", task="multilabel")
    assert [clip.path for clip in source.clips] == [row["filename"] for row in rows]
    table = run("rank", scanned, "--by", "total", "--top", "3")
    assert table.exit_code == 0, table.output
    assert "rank" in table.stdout and table.stdout.count("0.wav") >= 1

    example = windows[0]["recording"]
    result = run("rank", scanned, "--like", example, "--top", "2")
    assert result.exit_code == 0 and "likeness" in result.stdout, result.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--data", "x"], "is a scan, which is ranked itself; leave data out"),
        (["--like", "none.wav"], "none.wav: missing-file"),
        (["--like", "x", "--diversity"], "like ranks by likeness alone"),
        (["--label", "nothing"], "label 'nothing' is unknown; the scan has"),
        (["--label", "nothing", "--by", "total"], "--by total is of a whole window"),
        (["--top", "0"], "top is 0; use 1 or more"),
    ],
)
def test_wrong_arguments(scanned, arguments, message):
    result = run("rank", scanned, *arguments)
    assert result.exit_code == 1 and message in result.stderr, result.output


def test_a_model_needs_data_and_no_options_of_scans(model):
    assert "rank needs data, the dataset directory" in run("rank", model).stderr
    assert "like is for scans" in run("rank", model, "--like", "x", "--data", "y").stderr


def test_scans_without_embeddings_or_an_end(scanned, tmp_path):
    copy = shutil.copytree(scanned, tmp_path / "copy")
    text = (copy / "scan.json").read_text()
    (copy / "scan.json").write_text(text.replace('"embeddings": true', '"embeddings": false'))
    with pytest.raises(UserError, match="has no embeddings; scan again with --embeddings"):
        rank_windows(copy, diversity=True)
    (copy / "scan.json").write_text(text.replace('"complete": true', '"complete": false'))
    with pytest.raises(UserError, match="is not finished"):
        rank_windows(copy)
