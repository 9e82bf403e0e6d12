"""The command line: parse, call one function, print. TensorFlow is imported inside commands."""

import io
import os
import sys
from types import ModuleType

import click

from vipann_tf import __version__
from vipann_tf.cli import (
    app,
    data,
    download,
    evaluation,
    models,
    prediction,
    quickstart,
    scan_results,
    scanning,
    study,
    training,
)
from vipann_tf.cli.command import INTERRUPTED, Group
from vipann_tf.cli.quiet_import import quieten_tensorflow

__all__ = ["main", "run"]

# Options of earlier versions, which still work but are not shown.
FORMER_OPTIONS = {"samples": "num-draws", "draws": "draw-storage"}


# Headings of `vipann-tf --help`, with the modules that hold the commands.
_SECTIONS: dict[str, tuple[ModuleType, ...]] = {
    "First steps": (quickstart,),
    "Data": (download, data),
    "Training": (training, study),
    "Evaluation": (evaluation,),
    "Recordings": (scanning, scan_results, app),
    "Models": (prediction, models),
}


@click.group(
    cls=Group,
    sections={
        heading: [command for module in modules for command in module.COMMANDS]
        for heading, modules in _SECTIONS.items()
    },
    example="vipann-tf quickstart --out quickstart",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: FORMER_OPTIONS.get(name, name),
    },
)
@click.version_option(__version__, prog_name="vipann-tf")
def main() -> None:
    """Bayesian audio tagging: networks that know when they do not know.

    Train them, transfer them to your own labels, evaluate and serve them.
    """
    # TensorFlow's start-up notices would hide a command's own output.
    quieten_tensorflow()


def run() -> None:
    """Run the console script."""
    for stream in (sys.stdout, sys.stderr):
        # A label or a file name may have letters that the console's encoding lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except SystemExit as end:
        storage = sys.modules.get("vipann_tf.files.storage")
        aborts = storage is not None and storage.aborts_at_exit()
        # TensorFlow may still compute what was interrupted, and crash when Python ends beneath it.
        if not aborts and end.code != INTERRUPTED:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
