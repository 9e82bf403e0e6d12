"""Two environments with different TensorFlows, measured together: ratios, and what they vary by.

    taskset -c 0 python -m benchmarks.lanes .venv .venv-io [--repeats 6]

Each part runs in both environments at once, on one core, which takes them in turn every few
milliseconds, so that a disturbance of the machine falls on both. The seconds are those of the
processor, which other work does not lengthen. A ratio is that of repeats of the same number; the
table has their median, and the smallest and largest.
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
STEP = ["bench_training_step", *NARROW, "--batch", "16", "--part", "ours, float32"]
ANSWER = ["bench_inference", *NARROW, "--clips", "16", "--num-draws", "10", "--part"]
PARTS = {
    "training step, det": [*STEP, "--kind", "deterministic", "--steps"],
    "training step, flip": [*STEP, "--kind", "flipout", "--steps"],
    "inference, det": [*ANSWER, "deterministic, ours, float32", "--repeats"],
    "inference, flip, T = 10": [*ANSWER, "Flipout, ours, float32", "--repeats"],
}
LOAD, PREDICT = "import tensorflow + load", "predict one file"
MODEL = "saved_models/esc10-drop"
# A benchmark in its own process, with the processor's clock.
RUN = """
import runpy, sys, time
time.perf_counter = time.process_time
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def measure(pythons: list[str], arguments: list[str]) -> list[list[float]]:
    """What a benchmark reports in each environment, seconds of each repeat."""
    module, *options = arguments
    children = [
        subprocess.Popen(
            [python, "-c", RUN, f"benchmarks.{module}", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for python in pythons
    ]
    return [json.loads(child.communicate()[0].splitlines()[-1])["seconds"] for child in children]


def processes(pythons: list[str], *arguments: str) -> list[float]:
    """Seconds of a whole process of Python in each environment."""
    children = [
        subprocess.Popen([python, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
        for python in pythons
    ]
    found = []
    for child in children:
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{arguments} ended with status {status}")
        found.append(usage.ru_utime + usage.ru_stime)
    return found


def starts(pythons: list[str], repeats: int) -> dict[str, list[list[float]]]:
    """Seconds from a process's start to what it is for, by environment and repeat."""
    program = "from vipann_tf.cli import run; run()"
    with tempfile.TemporaryDirectory() as folder:
        file = bench_startup.sound(folder, 5.0)
        commands = {
            "start of Python": ["-c", ""],
            "import vipann_tf": ["-c", "import vipann_tf"],
            LOAD: ["-c", bench_startup.LOAD, f"{MODEL}/1"],
            PREDICT: ["-c", program, "predict", MODEL, file],
        }
        found = {name: [[], []] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                for side, seconds in zip(found[name], processes(pythons, *command), strict=True):
                    side.append(seconds)
    return found


def version(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('tensorflow'))"
    done = subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE)
    return f"TensorFlow {done.stdout.decode().strip()}"


def spread(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(first: list[float], second: list[float]) -> str:
    return spread([one / other for one, other in zip(first, second, strict=True)], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environments", nargs=2)
    parser.add_argument("--repeats", type=int, default=6)
    args = parser.parse_args()
    pythons = [f"{environment}/bin/python" for environment in args.environments]
    versions = [version(python) for python in pythons]
    found = {}
    for name, arguments in PARTS.items():
        found[name] = measure(pythons, [*arguments, str(args.repeats)])
        print(name, found[name], file=sys.stderr, flush=True)
    found |= starts(pythons, args.repeats)
    rows = [
        [name, spread(first, 3), spread(second, 3), ratios(first, second)]
        for name, (first, second) in found.items()
    ]
    print(harness.table(["seconds", *versions, "first / second"], rows), end="\n\n")
    for side, name in enumerate(versions):
        ratio = ratios(found[PREDICT][side], found[LOAD][side])
        print(f"- {name}: predict against import + load: {ratio}")


if __name__ == "__main__":
    main()
