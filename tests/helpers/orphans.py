"""Runs one patient task, prints its process id, and is killed by the test."""

from tests.helpers import process_tasks
from vipann_tf.training.processes import run_in_processes

if __name__ == "__main__":
    run_in_processes(
        {"one": process_tasks.patient}, 1, gpus=0, on_progress=lambda _, pid: print(pid, flush=True)
    )
