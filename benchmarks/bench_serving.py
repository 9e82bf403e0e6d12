"""Latency and throughput of a SavedModel under 1, 4 and 16 callers; memory over many requests.

    python -m benchmarks.bench_serving MODEL [--seconds 5] [--clips 200] [--memory 10000]
        [--server HOST:PORT]

Each caller sends one clip, waits for the answer and sends the next; no request batching, unless the
server asked batches. `--memory N` then sends N requests, a fifth of them bad, and compares the
resident memory after the first thousand with that at the end.
"""

import argparse
import concurrent.futures
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks import harness
from vipann_tf.saved_model.connection import LocalModel, model_name
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.server import RequestRefused, Server

CALLERS = (1, 4, 16)
FIRST_REQUESTS = 1000  # before these, memory pools are still growing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--clips", type=int, default=200, help="requests for each number of callers"
    )
    parser.add_argument("--memory", type=int, default=10_000, help="requests of the memory test")
    parser.add_argument("--memory-seconds", type=float, default=1.0)
    parser.add_argument("--server", help="HOST:PORT of a TensorFlow Serving to ask instead")
    options = parser.parse_args()

    info = read_model_info(options.model)
    name = model_name(options.model)
    model = Server(options.server, name) if options.server else LocalModel(options.model)
    waveform = clip(options.seconds, info.sample_rate_hz)
    for _ in range(3):
        model.ask("serving_default", {"waveform": waveform})
    rows = [drive(model, waveform, callers, options.clips) for callers in CALLERS]
    shape = info.architecture
    lines = [
        f"## Serving: {name}, width {shape.width:g}, {shape.trunk} trunk, {shape.head} head, "
        f"{info.num_draws} draws {info.draw_storage}, clips of {options.seconds:g} s",
        "",
        harness.table(["callers", "p50 ms", "p90 ms", "p99 ms", "clips/s"], rows),
    ]
    if options.memory:
        waveform = clip(options.memory_seconds, info.sample_rate_hz)
        refused, first, last = memory(model, waveform, options.memory)
        lines += [
            "",
            f"{options.memory} requests, {refused} of them refused as bad: {first:.0f} MiB after "
            "the first "
            f"{FIRST_REQUESTS}, {last:.0f} MiB after all.",
            "",
            harness.bar("growth of memory after them, %", 100 * (last / first - 1), most=5),
        ]
    print("\n".join(lines))


def clip(seconds: float, sample_rate_hz: int) -> np.ndarray:
    """A clip of noise, float32 [1, samples]."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, [1, int(seconds * sample_rate_hz)]).astype(np.float32)


def drive(model, waveform: np.ndarray, callers: int, requests: int) -> list:
    """Callers, three percentiles of the latency in milliseconds, clips per second."""

    def request(_):
        start = time.perf_counter()
        model.ask("serving_default", {"waveform": waveform})
        return time.perf_counter() - start

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        latencies = np.array(list(pool.map(request, range(requests)))) * 1000
    elapsed = time.perf_counter() - start
    percentiles = [f"{np.percentile(latencies, q):.1f}" for q in (50, 90, 99)]
    return [callers, *percentiles, f"{requests / elapsed:.1f}"]


def memory(model, waveform: np.ndarray, requests: int) -> tuple[int, float, float]:
    """Of valid and invalid requests: how many were refused, MiB after the first and after all."""
    bad = [waveform[:0], waveform[:, :100], np.full_like(waveform, np.nan)]
    after_first, refused = None, 0
    for number in range(requests):
        sent = bad[number // 5 % len(bad)] if number % 5 == 4 else waveform
        try:
            model.ask("serving_default", {"waveform": sent})
        except (tf.errors.InvalidArgumentError, RequestRefused):
            refused += 1
        if number + 1 == min(FIRST_REQUESTS, requests):
            after_first = resident_mib()
    return refused, after_first, resident_mib()


def resident_mib() -> float:
    """Resident memory of this process (Linux)."""
    with open("/proc/self/statm", encoding="utf-8") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
