"""Two environments with different TensorFlows, measured in turn: ratios, and what they vary by.

    taskset -c 0 python -m benchmarks.lanes .venv .venv-io [--rounds 5]

Each round measures every part with the first environment, then with the second. A ratio is that of
one round; the table has their median, and the smallest and largest. The seconds are those of the
processor, which other work on the machine does not lengthen.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import bench_startup, harness

ROOT = Path(__file__).resolve().parents[1]
NARROW = ["--width", "0.125", "--seconds", "5"]
STEP = ["bench_training_step", *NARROW, "--batch", "16", "--steps", "4", "--part", "ours, float32"]
ANSWER = ["bench_inference", *NARROW, "--clips", "16", "--num-draws", "10", "--part"]
PARTS = {
    "training step, det": [*STEP, "--kind", "deterministic"],
    "training step, flip": [*STEP, "--kind", "flipout"],
    "inference, det": [*ANSWER, "deterministic, ours, float32"],
    "inference, flip, T = 10": [*ANSWER, "Flipout, ours, float32"],
}
MODEL = "saved_models/esc10-det-flip"
# A benchmark in its own process, with the processor's clock.
RUN = """
import runpy, sys, time
time.perf_counter = time.process_time
runpy.run_module(f"benchmarks.{sys.argv[1]}", run_name="__main__", alter_sys=True)
"""


def measure(python: str, arguments: list[str]) -> float:
    """Median of what one process of a benchmark reports, seconds."""
    run = RUN.replace("sys.argv[1]", repr(arguments[0]))
    command = [python, "-c", run, *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return statistics.median(json.loads(done.stdout.splitlines()[-1])["seconds"])


def process(python: str, *arguments: str) -> float:
    """Seconds of a whole process of Python."""
    child = subprocess.Popen([python, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{arguments} ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def starts(python: str, file: str) -> dict[str, float]:
    """Seconds from a process's start to what it is for."""
    program = "from vipann_tf.cli import run; run()"
    return {
        "import vipann_tf": process(python, "-c", "import vipann_tf") - process(python, "-c", ""),
        "import tensorflow + load": process(python, "-c", bench_startup.LOAD, f"{MODEL}/1"),
        "predict one file": process(python, "-c", program, "predict", MODEL, file),
    }


def version(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('tensorflow'))"
    done = subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE)
    return f"TensorFlow {done.stdout.decode().strip()}"


def spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def report(rounds: list[list[dict[str, float]]], versions: list[str]) -> str:
    """Table of rounds, each of two environments."""
    rows = []
    for name in rounds[0][0]:
        sides = [[both[side][name] for both in rounds] for side in (0, 1)]
        ratios = [first / second for first, second in zip(*sides, strict=True)]
        rows.append([name, *(spread(side, 3) for side in sides), spread(ratios, 2)])
    lines = [harness.table(["seconds", *versions, "first / second"], rows), ""]
    for side, name in enumerate(versions):
        ratios = [
            both[side]["predict one file"] / both[side]["import tensorflow + load"]
            for both in rounds
        ]
        lines.append(f"- {name}: predict against import + load {spread(ratios, 2)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environments", nargs=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pythons = [f"{environment}/bin/python" for environment in args.environments]
    with tempfile.TemporaryDirectory() as folder:
        file = bench_startup.sound(folder, 5.0)
        rounds = []
        for number in range(args.rounds):
            both = []
            for python in pythons:
                found = {name: measure(python, part) for name, part in PARTS.items()}
                both.append(found | starts(python, file))
            rounds.append(both)
            print(f"round {number + 1}: {both}", file=sys.stderr, flush=True)
    print(report(rounds, [version(python) for python in pythons]))


if __name__ == "__main__":
    main()
