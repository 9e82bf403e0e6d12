"""One process of a distributed training: `... KILL_AT COMMAND...`.

COMMAND is that of the command line; its networks are those of `tiny_training.shallow`. With KILL_AT
above 0 the process kills itself after that step.
"""

import operator
import os
import signal
import sys
from collections.abc import Callable

from tests.helpers.tiny_training import shallow, stand_ins
from vipann_tf import cli
from vipann_tf.training import loop


def run(command: list[str], at: int, event: Callable[[], None]) -> None:
    """Run a command, and call `event` after a step."""
    stand_ins(setattr)
    shallow(operator.setitem)
    append = loop.TrainingRun.log

    def log(run, row):
        append(run, row)
        if row["step"] == at:
            event()

    loop.TrainingRun.log = log
    cli.main(command)


if __name__ == "__main__":
    run(sys.argv[2:], int(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGKILL))
