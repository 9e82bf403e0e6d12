"""How long a scan would take here, measured with one batch."""

from __future__ import annotations

import time

import numpy as np

from vipann_tf.files.paths import StrPath
from vipann_tf.saved_model.connection import connect
from vipann_tf.scans.engine import BATCH
from vipann_tf.scans.planning import Scan

__all__ = ["estimate_seconds"]


def estimate_seconds(
    model: StrPath,
    planned: Scan,
    *,
    server: str | None = None,
    deadline_s: float = 60.0,
    trust: bool = False,
) -> float:
    """Return the seconds of all windows, by the time that the network takes for some noise.

    Decoding goes on beside the network, and is not counted.

    Args:
      model: Model directory.
      planned: The scan.
      server: As in `scan`.
      deadline_s: As in `scan`.
      trust: As in `scan`.

    Raises:
      UserError: The model can't be loaded, or no server answers.
    """
    settings, info = planned.settings, planned.info
    connection = connect(
        model,
        num_draws=settings.num_draws,
        seed=settings.seed,
        server=server,
        deadline_s=deadline_s,
        trust=trust,
    )
    samples = round(settings.window_s * info.time_expansion * info.sample_rate_hz)
    count = max(1, min(BATCH, planned.windows))
    noise = np.random.default_rng(0).normal(0, 0.1, [count, samples]).astype(np.float32)
    seconds = 0.0
    for _ in range(2):  # the first one compiles
        began = time.monotonic()
        connection.ask(noise, each_draw=settings.draws)
        if settings.embeddings:
            connection.embed(noise)
        seconds = time.monotonic() - began
    return seconds / count * planned.windows
