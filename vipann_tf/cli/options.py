"""Options that several commands have, each written once."""

from collections.abc import Callable
from typing import get_args

import click
from click.decorators import FC

from vipann_tf.choices import Devices


class RecipeName(click.ParamType):
    """A recipe: a YAML file, or a shipped one by its name.

    Args:
      folder: Where the shipped ones are that fit.
    """

    name = "recipe"

    def __init__(self, folder: str):
        self.folder = folder

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Return what could have been given."""
        from vipann_tf.recipes import shipped_recipes

        names = ", ".join(shipped_recipes(f"{self.folder}/"))
        return f"Give a YAML file, or a shipped recipe: {names}"


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
        "trust": click.option(
            "--trust",
            is_flag=True,
            help="Load MODEL even if its graph does more than compute, such as read and write "
            "files. Only for models from people whom you trust.",
        ),
    }

    def decorate(function: FC) -> FC:
        for name in reversed(names):
            function = options[name](function)
        return function

    return decorate


# What pretrain and transfer have in common.
training_options = common("data", "out", "set", "devices", "overwrite")
