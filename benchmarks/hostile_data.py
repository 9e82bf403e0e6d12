"""What preparation withstands: damaged files, SIGKILL at random moments, another worker count.

    python -m benchmarks.hostile_data [--source DIR] [--mutants N] [--kills N]

Prints what was found and ends with status 1 where anything was not as it must be.
"""

from __future__ import annotations

import argparse
import collections
import csv
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ESC10 = HERE.parent.parent / "shared" / "data" / "esc10"
RUN = """
import sys
from vipann_tf import datasets
from vipann_tf.records.prepare import prepare
if __name__ == "__main__":
    prepare(datasets.load("esc50", sys.argv[1]), sys.argv[2], workers=int(sys.argv[3]))
"""


def contents(directory: pathlib.Path) -> dict[str, bytes]:
    """Every file of a dataset directory."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def mutants(count: int, scratch: pathlib.Path) -> bool:
    """Damaged files of every format: each is a finite record or a row of rejected.csv."""
    import numpy as np
    import tensorflow as tf

    from tests.helpers.mutations import lost_in_silence, write_mutants
    from vipann_tf import datasets
    from vipann_tf.records.pipeline import evaluation_batches
    from vipann_tf.records.prepare import prepare

    names = {f"noise/{name}" for name in write_mutants(scratch / "mutants/noise", count, seed=0)}
    source = datasets.load("folder", scratch / "mutants", task="multilabel")
    prepare(source, scratch / "out", seconds=2.0, workers=2)
    records = set()
    for batch in evaluation_batches(scratch / "out", ["train"], 16):
        assert bool(tf.reduce_all(tf.math.is_finite(batch["waveform"])))
        records |= {i.decode() for i in np.asarray(batch["clip_id"])}
    with open(scratch / "out/rejected.csv", encoding="utf-8", newline="") as file:
        rejected = {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}
    reasons = collections.Counter(rejected.values())
    print(f"{len(names)} damaged files: {len(records)} records, rejected: {dict(reasons)}")
    lost = [
        found for name in sorted(records) if (found := lost_in_silence(scratch / "mutants" / name))
    ]
    print(f"{len(lost)} lost sound without a notice", *lost, sep="\n")
    return records | set(rejected) == names and not records & set(rejected) and not lost


def kills(count: int, source: str, scratch: pathlib.Path) -> bool:
    """Killed so many times, a preparation ends with the bytes of an undisturbed one."""
    command = [sys.executable, "-c", RUN, source]
    began = time.monotonic()
    subprocess.run([*command, str(scratch / "one"), "1"], check=True)
    one_s = time.monotonic() - began
    began = time.monotonic()
    subprocess.run([*command, str(scratch / "two"), "2"], check=True)
    two_s = time.monotonic() - began
    same_workers = contents(scratch / "one") == contents(scratch / "two")
    print(f"1 worker {one_s:.1f} s, 2 workers {two_s:.1f} s, the same bytes: {same_workers}")

    good, chance = same_workers, random.Random(0)
    out = scratch / "killed"
    killed = 0
    while killed < count:
        process = subprocess.Popen([*command, str(out), "2"])
        moment_s = chance.uniform(0, two_s)
        time.sleep(moment_s)
        process.kill()
        killed += process.wait() != 0
        if out.exists():  # the signal came after the end: it must be whole; begin anew
            good &= contents(out) == contents(scratch / "one")
            shutil.rmtree(out)
        else:
            print(f"killed after {moment_s:.1f} s; the directory is absent")
    subprocess.run([*command, str(out), "2"], check=True)
    same = contents(out) == contents(scratch / "one")
    left = [path.name for path in scratch.iterdir() if path.name.startswith(".")]
    print(f"then run to its end: the same bytes: {same}; left behind: {left or 'nothing'}")
    return good and same and not left


def main() -> None:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=str(ESC10), help="ESC-10 in ESC-50's layout")
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        good = mutants(args.mutants, pathlib.Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        good &= kills(args.kills, args.source, pathlib.Path(scratch))
    print("everything as it must be" if good else "NOT as it must be")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
