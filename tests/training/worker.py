"""One process of a distributed training: `worker.py KILL_AT COMMAND...`.

COMMAND is that of the command line. With KILL_AT above 0 the process kills itself after that step.
"""

import os
import signal
import sys

from tiny import light_export

from vipann_tf import cli
from vipann_tf.training import loop, transfer


def main():
    kill_at, *command = sys.argv[1:]
    transfer.export = light_export
    append = loop.TrainingRun.log

    def log(run, row):
        append(run, row)
        if row["step"] == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    loop.TrainingRun.log = log
    cli.main(command)


main()
