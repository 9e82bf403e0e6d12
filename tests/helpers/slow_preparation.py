"""A preparation to be killed: `... OUT WORKERS`, 60 clips of 20 ms (of a second, for `NOTES`)."""

import os
import pathlib
import sys
import time

import numpy as np

from vipann_tf.datasets.base import Clip, Source

CLIPS = 60


def decode(clip: Clip, sample_rate_hz: int) -> np.ndarray:
    """A waveform that follows from the clip's id alone."""
    time.sleep(0.02)
    rng = np.random.default_rng(int(clip.clip_id))
    return rng.uniform(-0.5, 0.5, sample_rate_hz // 2).astype(np.float32)


def dying(clip: Clip, sample_rate_hz: int) -> np.ndarray:
    """As `decode`, but one clip takes the process with it, unless `SURVIVE` is set."""
    if clip.clip_id == "13" and "SURVIVE" not in os.environ:
        os._exit(7)
    return decode(clip, sample_rate_hz)


def noting(clip: Clip, sample_rate_hz: int) -> np.ndarray:
    """As `decode`; leaves a file named by the process id in the directory `NOTES`."""
    pathlib.Path(os.environ["NOTES"], str(os.getpid())).touch()
    return decode(clip, sample_rate_hz)


def waiting(clip: Clip, sample_rate_hz: int) -> np.ndarray:
    """As `noting`; then wait for the signal that ends the process, on a busy machine too."""
    waveform = noting(clip, sample_rate_hz)
    time.sleep(1.0)
    return waveform


def source(decode_with=decode) -> Source:
    """Two splits of `CLIPS` clips."""
    clips = [Clip(str(n), "", ("ab"[n % 2],), ("train", "eval")[n % 3 == 0]) for n in range(CLIPS)]
    return Source("slow", "multilabel", ("a", "b"), clips, 0.5, decode=decode_with)


if __name__ == "__main__":
    from vipann_tf.records.prepare import prepare

    prepare(
        source(waiting if "NOTES" in os.environ else decode), sys.argv[1], workers=int(sys.argv[2])
    )
