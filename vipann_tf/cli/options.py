"""Options that several commands have, each written once."""

from collections.abc import Callable
from typing import get_args

import click
from click.decorators import FC

from vipann_tf.choices import Devices


def common(*names: str) -> Callable[[FC], FC]:
    """Return a decorator that gives a command the named options, in this order."""
    options = {
        "data": click.option("--data", required=True, metavar="DIR", help="Dataset directory."),
        "out": click.option("--out", required=True, metavar="DIR", help="Directory to make."),
        "overwrite": click.option("--overwrite", is_flag=True, help="Replace what is at --out."),
        "set": click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override a value of the recipe, e.g. training.epochs=5; may be repeated.",
        ),
        "devices": click.option(
            "--devices",
            type=click.Choice(get_args(Devices)),
            default="auto",
            show_default=True,
            help="Devices that share every batch. none: one GPU, or the CPU; mirrored: all GPUs of "
            "this machine; multiworker: the machines named by the environment variable TF_CONFIG "
            "(start the same command on each); auto: the first that fits of multiworker "
            "(TF_CONFIG is set), mirrored (several GPUs) and none.",
        ),
        "num_draws": click.option(
            "--num-draws",
            type=int,
            metavar="T",
            help="Number of draws; by default that of the export.",
        ),
        "seed": click.option(
            "--seed", type=int, metavar="N", help="Seed of the draws; by default the export's."
        ),
    }

    def decorate(function: FC) -> FC:
        for name in reversed(names):
            function = options[name](function)
        return function

    return decorate


# What pretrain and transfer have in common.
training_options = common("data", "out", "set", "devices", "overwrite")
