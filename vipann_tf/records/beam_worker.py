"""The process that the local runner starts for each worker: Beam's own, but quiet, and it ends.

Beam's worker logs its start-up to the terminal, and keeps waiting if the process that started it is
killed. `python -m vipann_tf.records.beam_worker DIRECTORY` shows errors only, ends with its parent
and leaves its process id in the directory.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from vipann_tf.files import storage

_PARENT_CHECK_S = 0.5


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    open(os.path.join(sys.argv.pop(), str(os.getpid())), "wb").close()
    logging.disable(logging.WARNING)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
    if storage.aborts_at_exit():
        sys.stderr.flush()
        os._exit(0)
