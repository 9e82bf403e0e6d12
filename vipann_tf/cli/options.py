"""Options that several commands have, each written once."""

from collections.abc import Callable
from typing import Any, get_args

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


class ChannelChoice(click.ParamType):
    """A channel of a recording."""

    name = "channel"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the choice; fail with what is allowed."""
        from vipann_tf.audio.channels import parse_channel

        try:
            return parse_channel(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ThresholdChoice(click.ParamType):
    """A probability, or the word for the thresholds that a calibration chose."""

    name = "threshold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the choice; fail with what is allowed."""
        if value == "calibrated":
            return value
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= 1:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor 'calibrated'", param, ctx)
        return number


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
        "allow_empty_labels": click.option(
            "--allow-empty-labels",
            is_flag=True,
            help="Train even if a label has no clip to train on.",
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
        "channel": click.option(
            "--channel",
            type=ChannelChoice(),
            default="mix",
            show_default=True,
            metavar="N|mix|loudest",
            help="What to hear of several channels: one of them, counted from 1; their mean; the "
            "loudest.",
        ),
        "strict": click.option("--strict", is_flag=True, help="Make every notice an error."),
        "server": click.option(
            "--server",
            metavar="HOST:PORT",
            help="Ask a running TensorFlow Serving (gRPC) that serves MODEL; HOST:PORT/NAME if it "
            "serves it under another name.",
        ),
        "deadline": click.option(
            "--deadline",
            type=float,
            default=60.0,
            show_default=True,
            metavar="S",
            help="With --server: time limit per request.",
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
training_options = common("data", "out", "set", "allow_empty_labels", "devices", "overwrite")
