"""Imports every module and takes the first steps: `python first_steps.py OUT`."""

import importlib
import os
import pathlib
import pkgutil
import signal
import sys

import vipann_tf
from vipann_tf import cli

SHORT = "--set training.steps=2 --set training.batch_size=4 --set export.num_draws=2"
SHORT += " --allow-empty-labels"
TINY = f"{SHORT} --set model.depth=22 --set model.width=0.0625"


def run(line: str, *arguments: str) -> None:
    """Run a command as the console script does."""
    sys.argv = ["vipann-tf", *line.split(), *arguments]
    try:
        cli.run()
    except SystemExit as end:
        if end.code:
            raise


def first_steps(out: pathlib.Path) -> None:
    for task in ("multilabel", "multiclass"):
        run(f"prepare synthetic {out}/{task} --task {task} --clips 20 --seconds 1 --workers 2")
    base = f"{out}/base"
    run(f"pretrain pretrain/small_deterministic --data {out}/multilabel --out {base} {TINY}")
    data = f"--data {out}/multiclass --test-fold 5"
    run(f"transfer --strategy det-flip --mode fixed --base {base} {data} --out {out}/mine {SHORT}")
    clip = str(out / "Ω → 鳥.wav")
    run("synthesize --seconds 1", clip)
    for style in ("table", "json", "csv"):
        run(f"predict {out}/mine --format {style}", clip)


if __name__ == "__main__":
    for holder, name in ((os, "fork"), (signal, "SIGKILL"), (os, "O_DIRECTORY")):
        assert not hasattr(holder, name), "PYTHONPATH lacks the folder of this file"
    for module in pkgutil.walk_packages(vipann_tf.__path__, "vipann_tf."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    first_steps(pathlib.Path(sys.argv[1]))
