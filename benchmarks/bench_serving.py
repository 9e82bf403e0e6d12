"""Latency and throughput of a SavedModel under 1, 4 and 16 callers, and its memory over many requests.

Command: python benchmarks/bench_serving.py MODEL [--signature serving_default] [--seconds 5]
           [--clips 200] [--memory 10000] [--server HOST:PORT]

Each caller sends one clip, waits for the answer and sends the next; no request batching, unless the
server asked batches. `--memory N` then sends N requests, a fifth of them bad, and compares the resident
memory after the first thousand with that at the end.
"""

import argparse
import concurrent.futures
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from vipann_tf.saved_model.metadata import read_info
from vipann_tf.saved_model.predict import LocalModel, model_name
from vipann_tf.saved_model.server import RequestRefused, Server

CALLERS = (1, 4, 16)
FIRST_REQUESTS = 1000  # before these, memory pools are still growing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clips", type=int, default=200, help="requests for each number of callers")
    parser.add_argument("--memory", type=int, default=0, help="requests of the memory test")
    parser.add_argument("--memory-seconds", type=float, default=1.0)
    parser.add_argument("--server", help="HOST:PORT of a TensorFlow Serving to ask instead")
    options = parser.parse_args()

    info = read_info(options.model)
    if options.server:
        model = Server(options.server, model_name(options.model))
    else:
        model = LocalModel(options.model)
    print(
        json.dumps(
            {
                "model": model_name(options.model),
                "depth": info.architecture.depth,
                "width": info.architecture.width,
                "trunk": info.architecture.trunk,
                "head": info.architecture.head,
                "samples": info.samples,
                "draws": info.draws,
                "precision": info.precision,
                "seconds": options.seconds,
                "tensorflow": tf.__version__,
                "cores": os.cpu_count(),
            }
        )
    )
    waveform = clip(options.seconds, info.sample_rate_hz)
    for _ in range(3):
        model.ask("serving_default", {"waveform": waveform})
    for callers in CALLERS:
        print(json.dumps(drive(model, waveform, callers, options.clips)), flush=True)
    if options.memory:
        waveform = clip(options.memory_seconds, info.sample_rate_hz)
        print(json.dumps(memory(model, waveform, options.memory)))


def clip(seconds: float, rate_hz: int) -> np.ndarray:
    """A clip of noise, float32 [1, samples]."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, [1, int(seconds * rate_hz)]).astype(np.float32)


def drive(model, waveform: np.ndarray, callers: int, requests: int) -> dict[str, float]:
    """Latency percentiles in milliseconds and clips a second."""

    def request(_):
        start = time.perf_counter()
        model.ask("serving_default", {"waveform": waveform})
        return time.perf_counter() - start

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        latencies = np.array(list(pool.map(request, range(requests)))) * 1000
    elapsed = time.perf_counter() - start
    found = {f"p{q}_ms": round(float(np.percentile(latencies, q)), 2) for q in (50, 90, 99)}
    return {"callers": callers, **found, "clips_per_s": round(requests / elapsed, 2)}


def memory(model, waveform: np.ndarray, requests: int) -> dict[str, float]:
    """Resident memory in MB after the first requests and after all, valid and invalid mixed."""
    bad = [waveform[:0], waveform[:, :100], np.full_like(waveform, np.nan)]
    after_first, refused = None, 0
    for number in range(requests):
        sent = bad[number // 5 % len(bad)] if number % 5 == 4 else waveform
        try:
            model.ask("serving_default", {"waveform": sent})
        except (tf.errors.InvalidArgumentError, RequestRefused):
            refused += 1
        if number + 1 == min(FIRST_REQUESTS, requests):
            after_first = resident_mb()
    last = resident_mb()
    return {
        "requests": requests,
        "refused": refused,
        "mb_after_first": round(after_first, 1),
        "mb_at_the_end": round(last, 1),
        "growth": round(last / after_first - 1, 4),
    }


def resident_mb() -> float:
    """Resident memory of this process (Linux)."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
