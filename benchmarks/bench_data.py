"""Preparation against decoding alone, reading against a bare loop, and the peak memory of each.

    python -m benchmarks.bench_data [--source DIR] [--scratch DIR] [--repeat N] [--rounds N]

The best of the rounds counts, since a machine can be disturbed but not hurried.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import shutil
import time

from benchmarks import harness

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
    return {"clips": len(clips), "seconds": [time.perf_counter() - began]}


def prepare(workers: int):
    """A whole preparation, start of the workers included."""

    def part(args) -> dict:
        from vipann_tf.records.prepare import prepare as run

        source, out = esc10(args.source, args.repeat), pathlib.Path(args.scratch) / "prepared"
        shutil.rmtree(out, ignore_errors=True)
        began = time.perf_counter()
        info = run(source, out, workers=workers)
        return {"clips": info.clips, "seconds": [time.perf_counter() - began]}

    return part


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
    return {"clips": 1, "seconds": [time.perf_counter() - began]}


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
    return {"clips": done, "seconds": [time.perf_counter() - began]}


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


def training(*, cache: bool):
    """`training_batches`, shuffling among 256 records."""

    def part(args) -> dict:
        from vipann_tf.records.pipeline import training_batches

        splits = [f"fold{n}" for n in range(1, 6)]
        options = {"batch_size": BATCH, "seed": 0, "cache": cache, "shuffle_buffer": 256}
        batches = training_batches(ten_seconds(args), splits, **options)
        return counted(batches.map(lambda batch: batch["waveform"]), args.read_clips)

    return part


def evaluation(args) -> dict:
    """`evaluation_batches`, over and over."""
    from vipann_tf.records.pipeline import evaluation_batches

    splits = [f"fold{n}" for n in range(1, 6)]
    batches = evaluation_batches(ten_seconds(args), splits, BATCH).repeat()
    return counted(batches.map(lambda batch: batch["waveform"]), args.read_clips)


PARTS = {
    "decode": decode,
    "prepare, 1 worker": prepare(1),
    "prepare, all cores": prepare(os.cpu_count()),
    "window of a two-hour recording": long_recording,
    "read: bare loop": bare,
    "read: training_batches": training(cache=False),
    "read: training_batches, cached": training(cache=True),
    "read: evaluation_batches": evaluation,
}


def report(found, args) -> str:
    rates = {name: row.results["clips"] / min(row.seconds) for name, row in found.items()}
    rows = [
        [
            name,
            f"{rate:.1f}",
            f"{found[name].results['clips'] / max(found[name].seconds):.1f}",
            f"{1024 * found[name].peak_gib:.0f}",
        ]
        for name, rate in rates.items()
    ]
    lines = [
        "## Data: preparation and reading",
        "",
        f"ESC-10 (5 s, Ogg Vorbis at 44.1 kHz) {args.repeat} times over; "
        "clips of 10 s for reading.",
        "",
        harness.table(["", "clips/s, best round", "worst", "peak MiB of the main process"], rows),
        "",
    ]
    for name, cores in (("prepare, 1 worker", 1), ("prepare, all cores", os.cpu_count())):
        share = rates[name] / cores / rates["decode"]
        lines.append(harness.bar(f"{name}, per core, of decoding alone", share, least=0.8))
    for name in rates:
        if name.startswith("read: ") and name != "read: bare loop":
            share = rates[name] / rates["read: bare loop"]
            lines.append(harness.bar(f"{name}, of the bare loop", share, least=0.9))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default=str(ESC10), help="ESC-10 in ESC-50's layout")
    parser.add_argument("--repeat", type=int, default=10, help="how often each clip is prepared")
    parser.add_argument("--read-clips", type=int, default=4000)
    harness.run(__file__, parser, PARTS, report, rounds=3)


if __name__ == "__main__":
    main()
