"""A training that is killed at a random moment: `... WHEN SEED COMMAND...`.

WHEN is `restore`, `step`, `save` or `export`: while it reads its checkpoint, in a step or between
two, while it writes a checkpoint, or the model. SEED chooses which of them, and how far into it.
COMMAND is that of the command line. The kill is a real SIGKILL, from a thread that knows nothing of
what goes on.
"""

import os
import random
import signal
import sys
import threading
import time

from vipann_tf import cli
from vipann_tf.training import fit
from vipann_tf.training.checkpoints import Checkpoints
from vipann_tf.training.run import TrainingRun

# Of a call that none came before.
FIRST_CALL_S = 0.2


def kill_within(seconds: float, chance: random.Random) -> None:
    delay = chance.uniform(0, seconds)
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def killed_in(function, call: int, chance: random.Random):
    """Return the function with a kill within a call, which takes as long as the last."""
    calls, seconds = 0, FIRST_CALL_S

    def wrapped(*args, **kwargs):
        nonlocal calls, seconds
        calls += 1
        if calls == call:
            kill_within(seconds, chance)
        started = time.perf_counter()
        result = function(*args, **kwargs)
        seconds = time.perf_counter() - started
        return result

    return wrapped


def killed_after(function, call: int, chance: random.Random):
    """Return the function with a kill between a call and the time when the next one is due."""
    times = []

    def wrapped(*args, **kwargs):
        result = function(*args, **kwargs)
        times.append(time.perf_counter())
        if len(times) == call:
            kill_within(times[-1] - times[-2], chance)
        return result

    return wrapped


def main():
    when, seed, *command = sys.argv[1:]
    chance = random.Random(seed)
    if when == "restore":
        Checkpoints.restore = killed_in(Checkpoints.restore, 1, chance)
    elif when == "step":
        # The log is written once a step; the first one is traced, and no measure.
        TrainingRun.log = killed_after(TrainingRun.log, chance.randint(3, 12), chance)
    elif when == "save":
        Checkpoints.save = killed_in(Checkpoints.save, chance.randint(2, 4), chance)
    elif when == "export":
        fit.export = killed_in(fit.export, 1, chance)
    cli.main(command)


if __name__ == "__main__":
    main()
