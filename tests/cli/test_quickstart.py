"""Every step of the quickstart is a command line that the parser takes."""

from pathlib import Path

from vipann_tf.cli import main, quickstart
from vipann_tf.recipes import find_recipe


def test_steps_are_commands():
    steps = quickstart.commands(Path("out"))
    assert [arguments[0] for _, arguments in steps] == [
        "prepare", "prepare", "pretrain", "pretrain", "transfer",
        "evaluate", "synthesize", "synthesize", "predict",
    ]  # fmt: skip
    for _, (name, *arguments) in steps:
        command = main.get_command(None, name)
        command.make_context(name, list(arguments))


def test_recipes_are_shipped():
    for _, arguments in quickstart.commands(Path("out")):
        for argument in arguments:
            if argument.startswith(("pretrain/", "transfer/")):
                assert find_recipe(argument).is_file()
