"""The summary of a scan: a page that is whole, and says what it shows."""

import dataclasses
import datetime
import json
import os
import re
import shlex

import click.testing
import numpy as np
import pytest

from tests.helpers.evaluation_examples import example_results
from tests.helpers.parsed_page import Parsed
from tests.helpers.written_scans import MAY, UTC, Heard, season, write_scan
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.evaluation.results import write_clip_csv
from vipann_tf.evaluation.summary import summarise
from vipann_tf.scans.page import write_page
from vipann_tf.scans.presence import write_presence
from vipann_tf.scans.unknown import epistemic_limit


def read(page):
    with open(page.path, encoding="utf-8") as file:
        return Parsed(file.read())


def test_the_page_is_whole_and_escapes_names(tmp_path):
    bad = "<script>alert('&')</script>"
    recordings = [
        Heard(
            f"/data/{bad}/1.wav",
            [(float(i), i + 2.0, 0.1 * i) for i in range(10)],
            [(bad, 0.0), ('"quoted"', 3.0)],
            local=MAY,
        ),
        Heard("/data/north/2.wav", [(0.0, 2.0, 0.0)], [("plain", 0.0)]),
        Heard(f"/data/north/{bad}.wav", [], error=f"damaged {bad}"),
    ]
    scan = write_scan(tmp_path / bad.replace("/", "_"), recordings)
    (scan / "notices.csv").write_text(f"path,clip_id,kind,detail\na,,no-time,{bad}\n")
    clips = scan / "clips" / "odd"
    clips.mkdir(parents=True)
    (clips / "a#1?.wav").write_bytes(b"")
    (scan / "clips" / "clips.csv").write_text(
        f"filename,labels,group,notes\nodd/a#1?.wav,{bad},/x.wav,{bad}\nodd/gone.wav,{bad},,\n"
    )
    out = tmp_path / "pages" / "one.html"
    write_page(scan, out)
    text = out.read_text(encoding="utf-8")
    page = Parsed(text)
    assert page.tags["script"] == 0 and "<script" not in text
    assert not re.search(r"https?:|[\"'(]//", text)
    assert bad in page.text and '"quoted"' in page.text
    [link] = {link for link in page.links if link and "data:" not in link}
    assert link.startswith("../") and link.endswith("/clips/odd/a%231%3F.wav")
    assert page.tags["audio"] == 1 and "Of the list, 1 clip can't be found." in page.text
    assert "Times are local times" in page.text
    assert "1 recording without a time: not in these maps." in page.text
    hour_map = page.tables[0]
    assert hour_map[0] == ["label", *(f"{hour:02d}" for hour in range(24))]
    assert hour_map[1][:3] == ["hours of sound", "<.1", ""]
    rows = {row[0]: row[1:] for row in hour_map[2:]}
    assert rows[bad][0] == "327" and set(rows[bad][1:]) == {"no sound"}  # 3600 / 11
    assert rows["plain"][0] == "0"  # its recording has no time
    assert ["plain", "1", "276.92", "0.25"] in page.tables[2]  # in 13 s
    assert f"{bad}, 00:00 to 01:00: 1 in 11\N{NO-BREAK SPACE}s of sound" in page.titles


def test_which_clock_and_which_quantile_the_page_says(tmp_path):
    windows = [(float(i), i + 2.0, 0.01 * i) for i in range(40)]
    utc = Heard("/r/1.wav", windows, [("a", 1.0)], utc=MAY.replace(tzinfo=UTC))
    local = Heard("/r/2.wav", windows, [("a", 1.0)], local=MAY)
    untimed = Heard("/r/3.wav", windows, [("a", 1.0)])
    texts = []
    for i, recordings in enumerate([[utc], [local, utc], [untimed], [utc]]):
        page = write_page(
            write_scan(tmp_path / str(i), recordings), unknown_above=0.2 if i == 3 else None
        )
        texts.append(" ".join(read(page).text.split()))
    assert "Times are in UTC: no recording tells its local time" in texts[0]
    assert "local for 1 recording and in UTC for 1 whose local time is not known" in texts[1]
    assert "No recording tells when it began" in texts[2] and "By hour" not in texts[2]
    assert "the 95 % quantile of this very scan. So at most 5 % of the windows" in texts[0]
    assert "5.0\N{NO-BREAK SPACE}%".replace("\N{NO-BREAK SPACE}", " ") in texts[0]
    assert "above 0.2 nats: it was given" in texts[3] and "by construction" not in texts[3]
    assert "47.5 %" in texts[3]  # 19 of 40 windows are above


def test_a_season_without_detections_or_doubt(tmp_path):
    scan = write_scan(tmp_path / "scan", [Heard("/r/1.wav", [(0.0, 2.0, 0.0)], local=MAY)])
    page = read(write_page(scan))
    assert "No label reached the threshold." in page.text
    assert "No share can be told." in page.text


def test_recordings_to_hear(tmp_path):
    """Those with most detections first, each with its command, or a link to what it has made."""
    recordings = [
        Heard(f"/data/{folder}/a b.wav", [(0.0, 2.0, 0.1)], [("owl", 0.0)] * count)
        for folder, count in (("north", 1), ("south", 3), ("gone", 0))
    ]
    recordings[2] = dataclasses.replace(recordings[2], windows=[], error="damaged")
    scan = write_scan(tmp_path / "my scan", recordings)
    page = write_page(scan)
    found = read(page)
    table = next(x for x in found.tables if x[0][0] == "Recording")
    assert [row[:2] for row in table[1:]] == [
        ["/data/south/a b.wav", "3"],
        ["/data/north/a b.wav", "1"],
    ]
    command = table[1][2].removeprefix("command")
    if os.name == "posix":
        words = shlex.split(command)
        assert words[:4] == ["vipann-tf", "timeline", str(scan), "/data/south/a b.wav"]
        assert words[4:] == ["--out", str(scan / "south-a_b.wav.html")]
    (scan / "south-a_b.wav.html").write_text("drawn")
    found = read(write_page(scan))
    table = next(x for x in found.tables if x[0][0] == "Recording")
    assert table[1][2] == "open the timeline" and "south-a_b.wav.html" in found.links
    assert table[2][2].startswith("command")


def test_presence_if_it_was_written(tmp_path):
    draws = [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]
    recordings = [
        Heard(
            f"/data/{folder}/1.wav",
            [(0.0, 2.0, 0.1), (2.0, 4.0, 0.1)],
            [("a", 0.0)],
            local=MAY + datetime.timedelta(days=day),
            draws=draws[:: 1 - 2 * day],
        )
        for folder, day in (("north", 0), ("south", 1))
    ]
    scan = write_scan(tmp_path / "scan", recordings)
    assert "Was it there" not in read(write_page(scan)).text
    path, rows = write_presence(scan)
    page = read(write_page(scan))
    days = ["label", "2023-05-01", "2023-05-02"]
    table = [x for x in page.tables if x[0] == days][-1]  # behind the map of detections
    assert table[1:] == [["a, north", "50", "no sound"], ["a, south", "no sound", "50"]]
    words = "50.0 % (50.0 to 50.0 %) from 2 windows"
    assert f"a, north, 2023-05-01: {words}" in page.titles and len(rows) == 2
    old = os.stat(scan / "scan.json").st_mtime_ns - 10**9
    os.utime(path, ns=(old, old))
    assert "presence.csv is older than the scan" in read(write_page(scan)).text
    with open(path, "w", encoding="utf-8") as file:
        file.write("recorder,period,label\n/data,2023-05-01,a\n")
    assert "presence.csv can't be read (KeyError('probability'))" in read(write_page(scan)).text


def summary(*arguments):
    return click.testing.CliRunner().invoke(main, ["summary", *map(str, arguments)])


def test_command(tmp_path):
    scan = write_scan(tmp_path / "scan", season(3))
    result = summary(scan, "--out", tmp_path / "a.html", "--unknown-above", "0.3")
    assert result.exit_code == 0, result.output
    count = sum(len(x.detections) for x in season(3))
    expected = f"Wrote {tmp_path / 'a.html'} (25 recordings, {count} detections)\n"
    assert result.stdout == expected
    assert "above 0.3 nats" in Parsed((tmp_path / "a.html").read_text(encoding="utf-8")).text
    assert summary(scan).exit_code == 0 and (scan / "summary.html").is_file()


def test_what_is_no_finished_scan(tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        result = summary(place)
        assert result.exit_code == 1 and f"{place} is no scan" in result.stderr
    scan = write_scan(tmp_path / "half", season(0), complete=False)
    result = summary(scan)
    assert result.exit_code == 1 and "not finished; give the same scan command" in result.stderr
    scan = write_scan(tmp_path / "lost", season(0))
    (scan / "windows" / "part-000001.parquet").unlink()
    with pytest.raises(UserError, match="has [0-9]+ Parquet files, and scan.json tells of"):
        write_page(scan)
    scan = write_scan(tmp_path / "broken", season(0))
    (scan / "windows" / "part-000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="part-000001.parquet can't be read"):
        write_page(scan)
    for text, message in (("{", "can't be read"), (json.dumps([1]), "is none of a scan")):
        (scan / "scan.json").write_text(text)
        with pytest.raises(UserError, match=message):
            write_page(scan)


def test_wrong_arguments(tmp_path):
    scan = write_scan(tmp_path / "scan", season(0))
    with pytest.raises(UserError, match="a directory; give a file, such as"):
        write_page(scan, tmp_path)
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"unknown-above is {value}"):
            write_page(scan, unknown_above=value)


def test_what_is_unknown_by_the_results_of_an_evaluation(tmp_path):
    results = example_results("multiclass", 40)
    path = tmp_path / "results"
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps(summarise(results, resamples=5)))
    write_clip_csv(results, path / "predictions.csv")
    labels = list(results.labels)
    windows = [(float(i), i + 1.0, 0.0) for i in range(4)]
    heard = Heard("/r/1.wav", windows, [(labels[0], 0.0)], local=MAY)
    scan = write_scan(tmp_path / "scan", [heard])
    state = json.loads((scan / "scan.json").read_text())
    settings = state["settings"] | {"num_draws": results.num_draws}
    limit, words = epistemic_limit(settings, str(path))
    # Half a unit of the sixth place, with which predictions.csv writes it.
    values = results.answers.epistemic
    assert limit == pytest.approx(np.quantile(values, 0.95, method="higher"), abs=1e-6)
    assert words.startswith("the 95 % quantile of 40 clips that the model knows")
    (scan / "scan.json").write_text(json.dumps(state | {"settings": settings}))
    assert "clips that the model knows" in read(write_page(scan, unknown_above=str(path))).text
    for wrong, message in (
        ({"labels": ["zebra"]}, "of another model: it has no label 'zebra'"),
        ({"num_draws": 99}, "draws and the scan 99; .* evaluate with --num-draws 99"),
    ):
        with pytest.raises(UserError, match=message):
            epistemic_limit(settings | wrong, str(path))
    with pytest.raises(UserError, match="neither a number nor a directory of results"):
        epistemic_limit(settings, "0,3")


def test_a_list_of_clips_that_a_spreadsheet_saved(tmp_path):
    scan = write_scan(tmp_path / "scan", season(0))
    (scan / "clips").mkdir()
    (scan / "clips" / "x.wav").write_bytes(b"")
    listed = scan / "clips" / "clips.csv"
    listed.write_bytes("\ufefffilename;labels;group;notes\r\nx.wav;b\u00e4r;/a.wav;\r\n".encode())
    page = read(write_page(scan))
    assert "b\u00e4r (1)" in page.text and page.tags["audio"] == 1
    for content, problem in (
        (b"file,labels\nx.wav,a\n", "column 'file' is unknown"),
        (b"labels\na\n", "has no column 'filename'; its columns are labels"),
        (b"filename,labels\nx.wav,b\xe4r\n", "is not UTF-8 text (byte 23)"),
    ):
        listed.write_bytes(content)
        page = read(write_page(scan))
        assert "The list can't be read: " in page.text and problem in page.text


def test_more_labels_recorders_and_days_than_a_map_holds(tmp_path):
    recordings = [
        Heard(
            f"/r/site{i:02d}/1.wav",
            [(0.0, 10.0 + i, 0.1 * i)],
            [(f"label{k:02d}", 0.0) for k in range(i, 50)],
            local=MAY + datetime.timedelta(days=31 * i),
        )
        for i in range(45)
    ]
    page = read(write_page(write_scan(tmp_path / "scan", recordings)))
    assert "The days are too many for a map" in page.text
    assert "Left out: label09 (10), label08 (9)" in page.text and "label00 (1)." in page.text
    assert "The 40 recorders with most sound; the table below has all 45." in page.text
    hour_map, month_map, labels, unknown_map, recorders, _ = page.tables
    assert len(hour_map) == len(month_map) == 42 and len(labels) == 41
    assert month_map[0][:2] == ["label", "2023-05"]
    assert [row[0] for row in unknown_map[1:4]] == ["all recorders", "site44", "site43"]
    assert len(unknown_map) == 42 and len(recorders) == 46
