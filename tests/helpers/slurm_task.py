"""The command vipann-tf in a job of Slurm's stand-ins, whose time is up after eight steps.

The first task sends the batch script SIGUSR1, as Slurm does before the limit, and waits for what
the script does then. A job that was queued again (SLURM_RESTART_COUNT) has time enough.
"""

import os
import signal
import sys
import time
from pathlib import Path

from tests.helpers.distributed_worker import run

LIMIT_STEP = 8


def near_limit() -> None:
    if os.environ["SLURM_PROCID"] != "0" or "SLURM_RESTART_COUNT" in os.environ:
        return
    os.kill(int(os.environ["BATCH_SCRIPT"]), signal.SIGUSR1)
    told = Path(os.environ["SLURM_STATE"], "told")
    end = time.monotonic() + 120
    while not told.exists() and time.monotonic() < end:
        time.sleep(0.05)


if __name__ == "__main__":
    run(sys.argv[1:], LIMIT_STEP, near_limit)
