"""What processes are given to do in tests: no TensorFlow, so that they start at once."""

import os
import signal
import time

from vipann_tf.errors import UserError

NAMES = ("CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS")


def environment(report):
    """Report what the process sees, and when it began and ended."""
    began = time.monotonic()
    report({name: os.environ.get(name) for name in NAMES})
    time.sleep(0.5)
    report((began, time.monotonic()))


def mistaken(report):
    raise UserError("width is 7; use 1")


def broken(report):
    raise KeyError("inside")


def killed(report):
    os.kill(os.getpid(), signal.SIGKILL)


def patient(report):
    """Answer SIGTERM as a training does, and note it in the file that the environment names."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        report(os.getpid())
        time.sleep(0.02)
    with open(os.environ["PATIENT_FILE"], "a", encoding="utf-8") as file:
        file.write("stopped\n")
    raise UserError("stopped")
