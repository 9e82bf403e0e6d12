"""How fast recordings are scanned: against predict --window, a plain loop, and the network alone.

    python -m benchmarks.scan_rates [MODEL] [--kind flip|det-flip --width W]
        [--minutes N] [--files N] [--rounds N]

All four answer the same windows of the same files, in turn, in one process that has loaded the
model. The best of the rounds counts, since a machine can be disturbed but not hurried. A kind and a
width in place of a model make one with weights by its initializers, of ten draws: rates do not
depend on the weights.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import tempfile
import time

import numpy as np
import soundfile
import soxr

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE_HZ = 44_100


def write_recordings(folder: pathlib.Path, minutes: float, files: int) -> list[pathlib.Path]:
    """Recordings of equal length, made of the example sounds."""
    sounds = [
        soxr.resample(samples, rate, RATE_HZ)
        for samples, rate in map(soundfile.read, sorted((ROOT / "examples/sounds").glob("*.ogg")))
    ]
    length = round(minutes * 60 * RATE_HZ / files)
    paths = []
    for number in range(files):
        turned = sounds[number % len(sounds) :] + sounds[: number % len(sounds)]
        path = folder / f"{number:04d}.wav"
        soundfile.write(path, np.resize(np.concatenate(turned), length), RATE_HZ, subtype="PCM_16")
        paths.append(path)
    return paths


def write_model(path: pathlib.Path, kind: str, width: float) -> None:
    """Export a network as it is initialized, for windows of 5 s."""
    from vipann_tf.models.architecture import Architecture
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.saved_model.export import default_draw_storage, export
    from vipann_tf.saved_model.metadata import ModelInfo

    architecture = Architecture(
        width=width,
        trunk="flipout" if kind == "flip" else "deterministic",
        head="flipout",
        labels=10,
        task="multilabel",
    )
    info = ModelInfo(
        origin="pretrain",
        architecture=architecture,
        sample_rate_hz=32_000,
        clip_seconds=5.0,
        num_draws=10,
        seed=0,
        draw_storage=default_draw_storage(architecture, 10),
        variables=[],
    )
    export(VIPANN(architecture), path, info, [f"label {i}" for i in range(10)])


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=str(ROOT / "saved_models/esc10-drop"))
    parser.add_argument("--kind", choices=["flip", "det-flip"])
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if args.kind:
            args.model = str(folder / "model")
            write_model(folder / "model", args.kind, args.width)
        compare(args, folder)


def compare(args: argparse.Namespace, folder: pathlib.Path) -> None:
    """Measure all ways, and print them."""
    from vipann_tf.saved_model.connection import connect
    from vipann_tf.saved_model.timeline import Listener
    from vipann_tf.scans.engine import BATCH
    from vipann_tf.scans.planning import plan_scan
    from vipann_tf.scans.run import scan

    connection = connect(args.model)
    info = connection.info
    window_s, hop_s = info.clip_seconds, info.clip_seconds / 2
    size, step = round(window_s * 32_000), round(hop_s * 32_000)

    def scanning(paths, folder):
        planned = plan_scan(args.model, map(str, paths))
        shutil.rmtree(folder / "out", ignore_errors=True)
        return scan(args.model, planned, folder / "out").windows

    def predicting(paths, folder):
        listener = Listener(connection, window_s=window_s, hop_s=hop_s)
        return sum(1 for path in paths for _ in listener.listen(path))

    def looping(paths, folder):
        """What one would write: read, resample, cut, ask, file after file."""
        count = 0
        for path in paths:
            samples, rate = soundfile.read(path, dtype="float32")
            waveform = soxr.resample(samples, rate, 32_000)
            starts = range(0, len(waveform) - size + 1, step)
            windows = np.stack([waveform[start : start + size] for start in starts])
            for first in range(0, len(windows), 8):
                connection.ask(windows[first : first + 8])
            count += len(windows)
        return count

    def network(paths, folder):
        """Forward passes alone, of as many windows as the scan has."""
        batch = np.random.default_rng(0).normal(0, 0.1, [BATCH, size]).astype(np.float32)
        count = plan_scan(args.model, map(str, paths)).windows
        for _ in range(count // BATCH):
            connection.ask(batch)
        return count // BATCH * BATCH

    paths = write_recordings(folder, args.minutes, args.files)
    best: dict[str, tuple[float, int]] = {}
    ways = {
        "scan": scanning,
        "predict --window": predicting,
        "plain loop": looping,
        "the network alone": network,
    }
    for way in ways.values():
        way(paths[:2], folder)  # loaded and traced
    for _ in range(args.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            count = way(paths, folder)
            seconds = time.perf_counter() - began
            if name not in best or seconds / count < best[name][0] / best[name][1]:
                best[name] = (seconds, count)
    rate = best["scan"][1] / best["scan"][0]
    print(f"{args.files} files, {args.minutes:g} min, windows of {window_s:g} s")
    for name, (seconds, count) in best.items():
        print(
            f"{name:<18} {count / seconds:6.1f} windows/s"
            f"  {count * hop_s / seconds:6.0f} times real time"
            f"  scan is {rate * seconds / count:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
