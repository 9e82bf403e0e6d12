"""A real browser labels clips by keyboard through the page of `app`, and learns from them.

Command: python -m benchmarks.label_in_a_browser DATA OUT [--clips N] [--by epistemic]

DATA is ESC-10 as `prepare esc50 --subset esc10` writes it. A det-flip head on the shipped base is
trained on a few clips of fold 1; Chromium opens the page, hears the queue of fold 2 and answers
with the true label, by one key each (by its name where it is not among the nine that are shown),
and lets the page learn. The score is that of fold 5. Then `prepare csv` reads the journal.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tensorflow as tf

from tests.helpers.chromium import Browser, find_browser
from vipann_tf.records.schema import read_dataset_info

BEGIN = """
document.getElementById("who").value = "ann";
document.getElementById("person").requestSubmit();
"""
SHOWN = "now && !busy ? [now.clip, now.name, now.labels.map(x => x.label)] : null"
LEARNING = "document.getElementById('learning').innerText"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--fraction", default="0.25", help="Of fold 1, to begin with.")
    parser.add_argument("--by", default="epistemic")
    parser.add_argument("--pictures", type=pathlib.Path)
    args = parser.parse_args()
    truth = true_labels(args.data, "fold2")
    model, labels = args.out / "model", args.out / "labels"
    if not model.exists():
        run(
            *("transfer", "--strategy", "det-flip", "--recipe", "transfer/small_fixed"),
            *("--base", "everyday-sounds", "--data", args.data, "--test-fold", "5"),
            *("--set", "data.train=[fold1]", "--set", f"data.fraction={args.fraction}"),
            *("--out", model),
        )
    command = [sys.executable, "-m", "vipann_tf", "app", model, "--data", args.data]
    command += ["--split", "fold2", "--out", labels, "--port", "0", "--by", args.by]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address is not None, "the page did not start"
        try:
            label(address[0], truth, args.clips, args.pictures)
        finally:
            server.terminate()
    run("prepare", "csv", labels / "labels.csv", args.out / "labelled", "--task", "multiclass")


def label(address: str, truth: dict[str, str], clips: int, pictures: pathlib.Path | None) -> None:
    binary = find_browser()
    assert binary is not None, "needs Chromium"
    with tempfile.TemporaryDirectory() as folder, Browser(binary, pathlib.Path(folder)) as page:
        page.open(address, 1280, "light")
        page.evaluate(BEGIN)
        by_key = 0
        for done in range(clips):
            number, name, labels = page.wait(SHOWN)
            wanted = truth[name]
            if done == 1 and pictures:
                page.screenshot(pictures / "app.png")
            if wanted in labels:
                page.key(str(labels.index(wanted) + 1))
                by_key += 1
            else:
                page.key("o")
                page.call("Input.insertText", text=wanted)
                page.key("Enter")
            page.wait(f"now && now.clip !== {json.dumps(number)} && !busy")
        print(f"{clips} clips labelled, {by_key} by one key")
        page.evaluate("document.getElementById('learn-button').click()")
        print(page.wait(f"/learnt-1/.test({LEARNING}) && {LEARNING}", timeout_s=300))
        if pictures:
            page.evaluate("document.getElementById('learn').scrollIntoView()")
            page.screenshot(pictures / "app-learnt.png")


def true_labels(data: pathlib.Path, split: str) -> dict[str, str]:
    dataset = read_dataset_info(data)
    found = {}
    files = sorted(str(path) for path in data.glob(f"{split}-*.tfrecord"))
    for record in tf.data.TFRecordDataset(files):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        [label] = features["labels"].int64_list.value
        found[features["clip_id"].bytes_list.value[0].decode()] = dataset.labels[label]
    return found


def run(*arguments: object) -> None:
    words = [sys.executable, "-m", "vipann_tf", *map(str, arguments)]
    subprocess.run(words, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"})


if __name__ == "__main__":
    main()
