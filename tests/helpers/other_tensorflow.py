"""SavedModels of every kind, and what they answer, by the TensorFlow that runs this: `... OUT`.

Tests start it with the Python of the environment that has another TensorFlow than theirs.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.helpers.exported_models import KINDS, LABELS, ask, small_info, small_model
from tests.helpers.paths import ROOT
from tests.helpers.wav_files import wav_bytes
from vipann_tf.saved_model.export import export


def find() -> Path | None:
    """The Python of the environment of `make` with another TensorFlow, if it is there."""
    for environment in (ROOT / ".venv", ROOT / ".venv-io"):
        for found in environment.glob("lib/python*/site-packages/tensorflow-[0-9]*.dist-info"):
            if found.name != f"tensorflow-{tf.__version__}.dist-info":
                return environment / "bin" / "python"
    return None


def requests() -> dict[str, dict]:
    """Inputs for each signature. The clips are longer than 1 s, and no whole number of hops."""
    clips = np.random.default_rng(3).normal(0, 0.1, (3, 40123)).astype(np.float32)
    files = [
        wav_bytes(clips[0]),
        wav_bytes(clips[1, :17001], rate=16000, subtype="PCM_24", kind="WAVEX"),
        wav_bytes(clips[1])[:-100],
    ]
    return {
        "serving_default": {"waveform": clips},
        "monte_carlo": {"waveform": clips, "num_samples": 2, "seed": np.int64(5)},
        "embed": {"waveform": clips},
        "posterior_mean": {"waveform": clips},
        "wav": {"wav": np.array(files, object)},
    }


def answers(model) -> dict[str, np.ndarray]:
    """What a loaded SavedModel says, by "signature/output"; 1 stands for a status, 0 for none."""
    return {
        f"{signature}/{name}": value if value.dtype != object else value.astype(bool).astype(int)
        for signature, inputs in requests().items()
        for name, value in ask(model, signature, **inputs).items()
    }


def main(out: str) -> None:
    for kind in KINDS:
        model = small_model(kind)
        path = Path(out) / kind
        export(model, path, small_info(model), LABELS)
        loaded = tf.saved_model.load(str(path / "1"))
        np.savez(Path(out) / f"{kind}.npz", **answers(loaded))


if __name__ == "__main__":
    main(sys.argv[1])
