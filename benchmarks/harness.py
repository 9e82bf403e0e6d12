"""What the benchmarks share: parts measured in turn, a process for each, and a table of them.

A benchmark script names its parts. Asked for all of them (`main`), it starts itself once a part and
round, so that peak memory is the part's own and a disturbance of the machine falls on all alike. It
prints a section of Markdown to standard output and what it is doing to standard error.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@dataclass(frozen=True)
class Measured:
    """What the rounds of one part gave.

    Attributes:
      seconds: Of each timed repetition, all rounds together.
      peak_gib: Largest resident memory of a round's process.
      results: The other values that the part returned, of the last round.
    """

    seconds: list[float]
    peak_gib: float
    results: dict

    @property
    def typical(self) -> float:
        """Median of the repetitions, seconds."""
        return statistics.median(self.seconds)

    def text(self, per: float = 1.0, digits: int = 3) -> str:
        """`median (least-most)` seconds, each divided by `per`."""
        low, high = min(self.seconds) / per, max(self.seconds) / per
        return f"{self.typical / per:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


Part = Callable[[argparse.Namespace], dict]


def run(
    script: str,
    parser: argparse.ArgumentParser,
    parts: dict[str, Part],
    report: Callable[[dict[str, Measured], argparse.Namespace], str],
    *,
    rounds: int = 2,
) -> None:
    """Measures the parts and prints the report; in a child process, one part alone.

    Args:
      script: `__file__` of the benchmark.
      parser: Its own options.
      parts: Functions of the options that return `seconds` (a list) and whatever the report needs;
        one that raises `ImportError` is left out, its comparator not being installed.
      report: Markdown of what was measured.
      rounds: How often each part is measured by default.
    """
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--scratch", help="directory for what the parts write; else a temporary one"
    )
    parser.add_argument("--part", choices=parts, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        try:
            result = parts[args.part](args)
        except ImportError as error:
            result = {"missing": str(error)}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**result, "peak_gib": peak}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        found = _rounds(script, parts, args.rounds, args.scratch or temporary)
    measured = {
        name: Measured(
            [s for row in rows for s in row["seconds"]],
            max(row["peak_gib"] for row in rows),
            {k: v for k, v in rows[-1].items() if k not in ("seconds", "peak_gib")},
        )
        for name, rows in found.items()
        if "missing" not in rows[0]
    }
    print(report(measured, args))
    for name, rows in found.items():
        if "missing" in rows[0]:
            print(f"\nNot measured: {name} ({rows[0]['missing']}).")


def _rounds(script: str, parts, rounds: int, scratch: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for number in range(rounds):
        for name in parts:
            if "missing" in found.get(name, [{}])[0]:
                continue
            result = _in_a_process(script, name, scratch)
            found.setdefault(name, []).append(result)
            what = result.get("missing") or ", ".join(f"{s:.3f}" for s in result["seconds"][:6])
            print(f"round {number + 1}: {name}: {what}", file=sys.stderr, flush=True)
    return found


def _in_a_process(script: str, name: str, scratch: str) -> dict:
    command = [sys.executable, "-m", f"benchmarks.{Path(script).stem}", *sys.argv[1:]]
    command += ["--scratch", scratch, "--part", name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(header: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def bar(text: str, value: float, least: float | None = None, most: float | None = None) -> str:
    """A line that says whether a figure keeps its bar."""
    kept = (least is None or value >= least) and (most is None or value <= most)
    allowed = f"at least {least:g}" if least is not None else f"at most {most:g}"
    return f"- {text}: **{value:.2f}** ({allowed}): {'met' if kept else 'NOT met'}"
