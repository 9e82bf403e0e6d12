"""From process start to answer, and the memory of a prediction by the full-width Flipout network.

    python -m benchmarks.bench_startup [--model saved_models/esc10-drop]

`vipann-tf predict` on one 5 s file is compared with `import tensorflow` and `tf.saved_model.load`
of the same model in a fresh interpreter. The memory is that of predict on one 10 s file with the
full-width Flipout network (weights by its initializers; T = 10).
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks import harness

MEMORY_SAMPLES = 10
LOAD = "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])"


def sound(folder: str, seconds: float) -> str:
    """A file of noise."""
    import soundfile

    path = pathlib.Path(folder) / "noise.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * 32000))
    soundfile.write(path, noise, 32000, subtype="PCM_16")
    return str(path)


def run(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def predict(model: str, file: str) -> list[str]:
    return [sys.executable, "-c", "from vipann_tf.cli import run; run()", "predict", model, file]


def start(args) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        command = predict(args.model, sound(folder, 5.0))
        return {"seconds": [run(command) for _ in range(3)]}


def load(args) -> dict:
    version = max(pathlib.Path(args.model).glob("[0-9]*"), key=lambda path: int(path.name))
    return {"seconds": [run([sys.executable, "-c", LOAD, str(version)]) for _ in range(3)]}


def memory(args) -> dict:
    """Peak of the process that predicts."""
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        make = [sys.executable, "-m", "benchmarks.bench_startup", "--write-model", model]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        command = predict(model, sound(folder, 10.0))
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Gives the usage of this child alone; RUSAGE_CHILDREN would include the export.
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise RuntimeError(f"predict ended with status {status}")
        return {"seconds": [time.perf_counter() - began], "predict_gib": usage.ru_maxrss / 2**20}


def write_model(directory: str) -> None:
    """A full-width Flipout model as an import would write it."""
    from vipann_tf import published
    from vipann_tf.models.architecture import Architecture
    from vipann_tf.models.vipann import VIPANN
    from vipann_tf.saved_model.export import export
    from vipann_tf.saved_model.metadata import ModelInfo

    labels = list(published.audioset_labels())
    architecture = Architecture(
        trunk="flipout",
        head="deterministic",
        labels=len(labels),
        task="multilabel",
        signs="activation",
    )
    info = ModelInfo(
        origin="import",
        architecture=architecture,
        sample_rate_hz=32000,
        clip_seconds=10.0,
        num_draws=MEMORY_SAMPLES,
        seed=0,
        variables=[],
    )
    export(VIPANN(architecture), directory, info, labels)


def report(found, args) -> str:
    rows = [[name, row.text(digits=2)] for name, row in found.items()]
    ratio = found["vipann-tf predict"].typical / found["import and load"].typical
    gib = found["predict, full-width Flipout"].results["predict_gib"]
    return "\n".join(
        [
            "## Start-up, and the memory of a prediction",
            "",
            harness.table(["process", "seconds"], rows),
            "",
            harness.bar("predict against import tensorflow + load", ratio, most=1.1),
            harness.bar(
                f"GB at the peak of predict, full-width Flipout, T = {MEMORY_SAMPLES}",
                gib * 2**30 / 1e9,
                most=2.5,
            ),
        ]
    )


PARTS = {
    "vipann-tf predict": start,
    "import and load": load,
    "predict, full-width Flipout": memory,
}


def main() -> None:
    if "--write-model" in sys.argv:
        write_model(sys.argv[-1])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="saved_models/esc10-drop")
    harness.run(__file__, parser, PARTS, report, rounds=2)


if __name__ == "__main__":
    main()
