"""A week of four recorders, with events at known times: is what a scan finds right, and always so?

    python -m benchmarks.synthetic_week OUT [--per-day N] [--kills N]

A model is trained on clips of the same kinds of events, and calibrated on others. Then the week is
scanned by one worker, by three, by two workers of Dask, by a server, and under SIGKILLs. Printed
are precision, recall and the errors of times, and whether all scans have the same rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import soundfile

from tests.helpers.model_service import serving
from vipann_tf.datasets.sound_events import EVENTS, RATE_HZ
from vipann_tf.saved_model.load import load_signatures

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABELS = ("bell", "dog bark", "engine", "siren")
CLIP_S, HOP_S = 3.0, 1.5
SECONDS = 60.0  # of a recording
EVENT_S = (3.0, 12.0)
GAP_S = 8.0  # between events
SNR_DB = (5.0, 25.0)
BACKGROUND_RMS = 0.01
SITES = ("north", "east", "south", "west")


def background(rng: np.random.Generator, n: int) -> np.ndarray:
    """Pink noise."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * n / RATE_HZ))
    noise = np.fft.irfft(spectrum, n)
    return (BACKGROUND_RMS * noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def event(rng: np.random.Generator, label: str, n: int) -> tuple[np.ndarray, int, int]:
    """An event, and its first and last sample that sound."""
    sound = EVENTS["multilabel"][label](rng, n)
    frames = np.sqrt(np.mean(sound[: n // 320 * 320].reshape(-1, 320) ** 2, axis=1))
    loud = np.flatnonzero(frames > 0.1 * frames.max())
    level = BACKGROUND_RMS * 10 ** (rng.uniform(*SNR_DB) / 20)
    sound *= level / np.sqrt(np.mean(frames[loud] ** 2))
    return sound, int(loud[0]) * 320, int(loud[-1] + 1) * 320


def write_clips(folder: pathlib.Path, count: int) -> None:
    """Clips to train on: of every five, one without an event and some with two."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    n = round(CLIP_S * RATE_HZ)
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "labels"])
        for number in range(count):
            labels = rng.permutation(LABELS)[: number % 5 and 1 + (number % 5 == 4)]
            sound = background(rng, n)
            for label in labels:
                # As windows cut them: events go on beyond the clip, or hold half of it at least.
                length = round(rng.uniform(*EVENT_S) * RATE_HZ)
                found, first, last = event(rng, label, length)
                found = found[first:last]
                start = int(rng.integers(-len(found) + n // 2, n // 2 + 1))
                low, high = max(start, 0), min(start + len(found), n)
                sound[low:high] += found[low - start : high - start]
            soundfile.write(folder / f"{number}.wav", np.clip(sound, -1, 1), RATE_HZ)
            rows.writerow([f"{number}.wav", ";".join(labels)])


def write_week(folder: pathlib.Path, per_day: int) -> dict[str, list[tuple[str, float, float]]]:
    """Recordings -> events in them."""
    rng = np.random.default_rng(2)
    truth = {}
    n = round(SECONDS * RATE_HZ)
    for site in SITES:
        (folder / site).mkdir(parents=True)
        for day in range(7):
            for hour in sorted(rng.choice(24, per_day, replace=False).tolist()):
                path = folder / site / f"{site}_202305{day + 1:02d}_{hour:02d}0000.wav"
                sound, events = background(rng, n), []
                place = rng.uniform(0, 25)
                while place + EVENT_S[1] < SECONDS:
                    label = str(rng.choice(LABELS))
                    length = round(rng.uniform(*EVENT_S) * RATE_HZ)
                    found, first, last = event(rng, label, length)
                    start = round(place * RATE_HZ)
                    sound[start : start + length] += found
                    events.append((label, place + first / RATE_HZ, place + last / RATE_HZ))
                    place += length / RATE_HZ + GAP_S + rng.exponential(15)
                soundfile.write(path, np.clip(sound, -1, 1), RATE_HZ)
                truth[str(path)] = events
    return truth


def run(*arguments: object, check: bool = True, code: str = "") -> subprocess.Popen[bytes]:
    """Run the command line in a process of its own."""
    start = f"{code}from vipann_tf.cli import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", start, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if check and process.wait():
        raise SystemExit(f"{arguments[0]} ended with status {process.returncode}")
    return process


def make_model(out: pathlib.Path) -> pathlib.Path:
    """Train, calibrate."""
    calibrated = out / "calibrated"
    if calibrated.exists():
        return calibrated
    write_clips(out / "clips", 800)
    data = out / "data"
    run(
        "prepare",
        "csv",
        out / "clips" / "clips.csv",
        data,
        "--task",
        "multilabel",
        "--folds",
        4,
        "--seconds",
        CLIP_S,
    )
    run(
        *(
            "transfer",
            "--strategy",
            "det-flip",
            "--recipe",
            ROOT / "recipes/transfer/small_fixed.yaml",
        ),
        *("--base", ROOT / "saved_models/everyday-sounds", "--data", data, "--test-fold", 4),
        *("--out", out / "model"),
    )
    run("calibrate", out / "model", "--data", data, "--out", calibrated, "--precision", 0.9)
    return calibrated


def scores(out: pathlib.Path, truth: dict[str, list[tuple[str, float, float]]]) -> str:
    """Precision, recall, and errors of begin and end."""
    found = pq.read_table(out / "detections", partitioning=None).to_pylist()
    by_recording: dict[str, list[dict]] = {}
    for row in found:
        by_recording.setdefault(row["recording"], []).append(row)
    right = heard = late = 0
    errors = []
    for path, events in truth.items():
        rows = by_recording.get(path, [])
        for label, begin, end in events:
            mine = [
                x for x in rows if x["label"] == label and x["start_s"] < end and x["end_s"] > begin
            ]
            heard += bool(mine)
            if len(mine) == 1:
                errors += [abs(mine[0]["start_s"] - begin), abs(mine[0]["end_s"] - end)]
        for x in rows:
            right += any(
                x["label"] == label and x["start_s"] < end and x["end_s"] > begin
                for label, begin, end in events
            )
            stamp = pathlib.Path(path).stem.split("_", 1)[1]
            begin = np.datetime64(f"2023-05-{stamp[6:8]}T{stamp[9:11]}:00:00")
            wanted = begin + np.timedelta64(round(1000 * x["start_s"]), "ms")
            late += np.datetime64(x["time_local"]) != wanted
    total = sum(map(len, truth.values()))
    within = np.mean(np.array(errors) <= HOP_S)
    return (
        f"{len(found)} detections, {total} events: precision {right / len(found):.3f}, recall"
        f" {heard / total:.3f}; begin and end within one hop {within:.1%}, median error"
        f" {np.median(errors):.2f} s, 95 % {np.quantile(errors, 0.95):.2f} s;"
        f" {late} wrong times of day"
    )


def difference(one: pathlib.Path, other: pathlib.Path) -> str:
    """How far the rows of two scans differ."""
    first, second = (pq.read_table(x / "windows", partitioning=None) for x in (one, other))
    if first.num_rows != second.num_rows or first.column_names != second.column_names:
        return f"{second.num_rows} rows instead of {first.num_rows}"
    worst = 0.0
    for name in first.column_names:
        a, b = first[name].to_pylist(), second[name].to_pylist()
        if isinstance(a[0], float):
            worst = max(worst, float(np.max(np.abs(np.subtract(a, b)))))
        elif a != b:
            return f"another column {name}"
    return f"{first.num_rows} equal rows, to {worst:.1e}"


def killed(command: list[object], out: pathlib.Path, kills: int) -> str:
    """Kill a scan again and again at random times, and let it end."""
    chance = random.Random(3)
    code = "from vipann_tf.scans import plan; plan.UNIT_S = 60.0; "
    counts = []
    for _ in range(kills):
        process = run(*command, check=False, code=code)
        time.sleep(chance.uniform(6, 20))
        ended = process.poll() is not None
        process.kill()
        process.wait()
        counts.append("ended" if ended else str(len(list(out.glob("outcomes/*.json")))))
    run(*command, code=code)
    return f"parts finished at each kill: {', '.join(counts)}"


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--per-day", type=int, default=2)
    parser.add_argument("--kills", type=int, default=10)
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    model = make_model(out)
    listed = out / "truth.json"
    if not listed.exists():
        listed.write_text(json.dumps(write_week(out / "week", args.per_day)))
    truth = {
        path: [tuple(x) for x in rows] for path, rows in json.loads(listed.read_text()).items()
    }

    def command(name: str, *more: object) -> list[object]:
        return [
            "scan",
            model,
            out / "week",
            "--out",
            out / name,
            "--threshold",
            "calibrated",
            *more,
        ]

    run(*command("one"))
    print(f"one worker: {scores(out / 'one', truth)}", flush=True)
    run(*command("three", "--workers", 3))
    print(f"three workers: {difference(out / 'one', out / 'three')}", flush=True)
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(ROOT)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        run(*command("dask", "--runner", "dask", "--dask-client-address", address))
    print(f"two workers of Dask: {difference(out / 'one', out / 'dask')}", flush=True)
    signatures = load_signatures(model).signatures
    with serving(model.name, lambda: signatures) as service:
        run(*command("served", "--server", service.address))
        asked = len(service.requests)
    print(f"server: {difference(out / 'one', out / 'served')}, {asked} requests", flush=True)
    text = killed(command("killed"), out / "killed", args.kills)
    print(f"{args.kills} SIGKILLs: {difference(out / 'one', out / 'killed')}; {text}", flush=True)


if __name__ == "__main__":
    main()
