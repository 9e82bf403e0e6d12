"""Preparation against decoding alone, reading against a bare loop, and the peak memory of each.

    python benchmarks/bench_data.py [--source DIR] [--scratch DIR] [--repeat N] [--rounds N]

Every line is measured in a process of its own, so that peak memory is its own; what is compared
alternates, and the best of the rounds counts, since a machine can be disturbed but not hurried.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ESC10 = HERE.parent.parent / "shared" / "data" / "esc10"
BATCH = 32
LONG_SECONDS = 7200


def esc10(source: str, repeat: int):
    """ESC-10, each clip so many times under other ids."""
    from vipann_tf import datasets

    listed = datasets.load("esc50", source)
    clips = [
        dataclasses.replace(clip, clip_id=f"{clip.clip_id}#{copy}")
        for copy in range(repeat)
        for clip in listed.clips
    ]
    return dataclasses.replace(listed, clips=clips)


def decode(args) -> dict:
    """Decoding and resampling alone, one process: what preparation can't be faster than."""
    from vipann_tf.audio.decoding import Decoder

    decoder, clips = Decoder(32_000), esc10(args.source, args.repeat).clips
    decoder.read(clips[0].path)
    began = time.perf_counter()
    for clip in clips:
        decoder.read(clip.path, duration_s=5.0)
    return {"clips": len(clips), "seconds": time.perf_counter() - began}


def prepare(args) -> dict:
    """A whole preparation, start of the workers included."""
    from vipann_tf.records.prepare import prepare as run

    source, out = esc10(args.source, args.repeat), pathlib.Path(args.scratch) / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    info = run(source, out, workers=args.workers)
    return {"clips": info.clips, "seconds": time.perf_counter() - began}


def long_recording(args) -> dict:
    """A ten-second window near the end of a recording of two hours."""
    import numpy as np
    import soundfile

    from vipann_tf.audio.decoding import read_audio

    path = pathlib.Path(args.scratch) / "long.wav"
    if not path.exists():
        with soundfile.SoundFile(path, "w", 16_000, 1) as file:
            for _ in range(LONG_SECONDS // 60):
                file.write(np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 16_000))
    began = time.perf_counter()
    read_audio(path, 32_000, offset_s=LONG_SECONDS - 60, duration_s=10)
    return {"clips": 1, "seconds": time.perf_counter() - began}


def ten_seconds(args) -> pathlib.Path:
    """ESC-10 five times, padded to ten seconds as AudioSet's clips are: 1.3 GB."""
    from vipann_tf.records.prepare import prepare as run

    out = pathlib.Path(args.scratch) / "ten_seconds"
    if not out.exists():
        run(esc10(args.source, 5), out, seconds=10.0)
    return out


def counted(batches, clips: int) -> dict:
    """Time from the second batch on: the first waits for the shuffle buffer."""
    iterator = iter(batches)
    next(iterator)
    began, done = time.perf_counter(), 0
    while done < clips:
        done += next(iterator).shape[0]
    return {"clips": done, "seconds": time.perf_counter() - began}


def bare(args) -> dict:
    """TFRecordDataset + parse + decode + batch, nothing else."""
    import tensorflow as tf

    files = sorted(str(path) for path in ten_seconds(args).glob("*.tfrecord"))
    features = {"waveform": tf.io.FixedLenFeature([], tf.string)}

    def parse(record):
        waveform = tf.io.parse_single_example(record, features)["waveform"]
        return tf.cast(tf.io.decode_raw(waveform, tf.int16), tf.float32) / 32768.0

    records = tf.data.TFRecordDataset(files).repeat()
    batches = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH)
    return counted(batches.prefetch(tf.data.AUTOTUNE), args.read_clips)


def training(args) -> dict:
    """`training_batches`, shuffling among 256 records, from files."""
    from vipann_tf.records.pipeline import training_batches

    splits = [f"fold{n}" for n in range(1, 6)]
    options = {"batch_size": BATCH, "seed": 0, "cache": args.cache, "shuffle_buffer": 256}
    batches = training_batches(ten_seconds(args), splits, **options)
    return counted(batches.map(lambda batch: batch["waveform"]), args.read_clips)


def evaluation(args) -> dict:
    """`evaluation_batches`, over and over."""
    from vipann_tf.records.pipeline import evaluation_batches

    splits = [f"fold{n}" for n in range(1, 6)]
    batches = evaluation_batches(ten_seconds(args), splits, BATCH).repeat()
    return counted(batches.map(lambda batch: batch["waveform"]), args.read_clips)


PARTS = {
    "decode": (decode, []),
    "prepare, 1 worker": (prepare, ["--workers", "1"]),
    "prepare, all cores": (prepare, ["--workers", str(os.cpu_count())]),
    "window of a two-hour recording": (long_recording, []),
    "read: bare loop": (bare, []),
    "read: training_batches": (training, []),
    "read: training_batches, cached": (training, ["--cache"]),
    "read: evaluation_batches": (evaluation, []),
}


def measure(name: str, arguments: list[str]) -> dict:
    """Runs one part in a process of its own."""
    command = [sys.executable, __file__, "--part", name, *arguments, *PARTS[name][1]]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(best: dict[str, dict]) -> None:
    """Prints rates, peak memory and the two shares that are asked for."""
    rates = {name: row["clips"] / row["seconds"] for name, row in best.items()}
    print(f"\n{'':34s}{'clips/s':>10s}{'peak MB':>10s}")
    for name, row in best.items():
        print(f"{name:34s}{rates[name]:10.1f}{row['peak_mb']:10.0f}")
    cores = os.cpu_count()
    per_core = {"prepare, 1 worker": 1, "prepare, all cores": cores}
    for name, count in per_core.items():
        print(f"{name}: {rates[name] / count / rates['decode']:.2f} of decoding alone, per core")
    for name in best:
        if name.startswith("read: ") and name != "read: bare loop":
            print(f"{name}: {rates[name] / rates['read: bare loop']:.2f} of the bare loop")


def main() -> None:
    """Measures everything, or the one part that the child process is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=str(ESC10), help="ESC-10 in ESC-50's layout")
    parser.add_argument("--scratch", help="directory for what is written (about 3 GB)")
    parser.add_argument("--repeat", type=int, default=10, help="how often each clip is prepared")
    parser.add_argument("--read-clips", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--cache", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        result = PARTS[args.part][0](args)
        family = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        peak_kb = max(resource.getrusage(who).ru_maxrss for who in family)  # largest process
        print(json.dumps({**result, "peak_mb": peak_kb / 1024}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        shared = ["--source", args.source, "--scratch", args.scratch or scratch]
        shared += ["--repeat", str(args.repeat), "--read-clips", str(args.read_clips)]
        best: dict[str, dict] = {}
        for round_number in range(args.rounds):
            for name in PARTS:
                row = measure(name, shared)
                rate = row["clips"] / row["seconds"]
                print(f"round {round_number + 1}: {name}: {rate:.1f} clips/s", flush=True)
                if name not in best or rate > best[name]["clips"] / best[name]["seconds"]:
                    best[name] = row
        report(best)


if __name__ == "__main__":
    main()
