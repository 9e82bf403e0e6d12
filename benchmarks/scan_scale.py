"""Memory and time of scans at scale: one long recording, and a thousand short ones.

    python -m benchmarks.scan_scale [MODEL] [--hours H] [--files N]

A recording of a tenth of the hours, and one of all of them, must need the same memory. The short
files (5 s) are answered by scan and by predict. Each in a process of its own, which says the
greatest memory that it had.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE_HZ = 16_000
_RUN = """
import resource, sys, time
from vipann_tf.cli import main
began = time.monotonic()
try:
    main(sys.argv[1:])
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{time.monotonic() - began:.1f} s, {peak / 1024:.0f} MiB at most", file=sys.stderr)
"""


def measured(*arguments: object) -> str:
    """Run a command, and return the last line that it says."""
    process = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stderr.splitlines()[-1]


def write_long(path: pathlib.Path, hours: float) -> None:
    """Noise that swells and fades, minute by minute."""
    rng = np.random.default_rng(0)
    swell = 0.001 + 0.1 * np.hanning(60 * RATE_HZ)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for _ in range(round(60 * hours)):
            file.write(rng.normal(size=60 * RATE_HZ) * swell)


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=str(ROOT / "saved_models/esc10-drop"))
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--files", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        for hours in (args.hours / 10, args.hours):
            path = folder / "long.wav"
            write_long(path, hours)
            found = measured("scan", args.model, path, "--out", folder / "out", "--overwrite")
            print(f"one recording of {hours:g} h: {found}", flush=True)
        path.unlink()
        short = folder / "short"
        short.mkdir()
        rng = np.random.default_rng(1)
        for number in range(args.files):
            sound = rng.normal(size=5 * RATE_HZ + 7 * number) * rng.uniform(0.001, 0.1)
            soundfile.write(short / f"{number:05d}.wav", sound, RATE_HZ)
        paths = sorted(short.iterdir())
        # Of different lengths, which predict does not answer in one batch; scan cuts windows.
        print(f"predict, {args.files} files: {measured('predict', args.model, *paths)}", flush=True)
        found = measured("scan", args.model, short, "--out", folder / "files")
        print(f"scan, {args.files} files: {found}", flush=True)


if __name__ == "__main__":
    main()
