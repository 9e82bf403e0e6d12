"""Takes away what Python has on Linux alone: with this folder in PYTHONPATH, from every process.

What Windows lacks beside these is used on Linux by Python's own library (getuid: by platformdirs),
so it has to stay; ruff refuses it in the package (`banned-api` in pyproject.toml).
"""

import importlib.abc
import os
import signal
import sys

MODULES = {"crypt", "fcntl", "grp", "nis", "pty", "pwd", "resource", "spwd", "syslog", "termios"}
FROM_OS = """
O_DIRECTORY O_NOFOLLOW chown fork forkpty fstatvfs getegid geteuid getgid getloadavg getpgid getpgrp
killpg lchown mkfifo mknod nice sched_getaffinity sched_setaffinity setsid sync sysconf
wait3 wait4
"""
FROM_SIGNAL = """
SIGALRM SIGCHLD SIGHUP SIGKILL SIGSTOP SIGUSR1 SIGUSR2 alarm pause setitimer
"""


class _Refusal(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for module in MODULES:
    sys.modules.pop(module, None)
sys.meta_path.insert(0, _Refusal())
for holder, names in ((os, FROM_OS), (signal, FROM_SIGNAL)):
    for name in names.split():
        vars(holder).pop(name, None)
