"""The command line: parse, call one function, print. TensorFlow is imported inside commands."""

import os
import sys

import click

from vipann_tf import __version__
from vipann_tf.cli import data, evaluation, models, prediction, quickstart, study, training
from vipann_tf.cli.command import Group

__all__ = ["main", "run"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vipann-tf")
def main():
    """Bayesian audio tagging: train, transfer, evaluate and serve networks that know when they do
    not know.
    """
    # TensorFlow's start-up notices would drown a command's own output.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


for _module in (data, training, evaluation, prediction, models, study, quickstart):
    for _command in _module.COMMANDS:
        main.add_command(_command)


def run() -> None:
    """The console script."""
    try:
        main()
    except SystemExit as end:
        storage = sys.modules.get("vipann_tf.files.storage")
        if storage is None or not storage.aborts_at_exit():
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
