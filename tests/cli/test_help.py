"""The help of every command: its place in the list, and an example that the parser takes."""

import shlex

import pytest
from click.testing import CliRunner

from vipann_tf.cli import main


def shown(*arguments):
    return CliRunner().invoke(main, [*arguments, "--help"], terminal_width=80).output


def test_the_list_has_every_command_under_a_heading_and_cuts_none():
    text = shown()
    assert "..." not in text.replace("COMMAND [ARGS]...", "")
    assert max(map(len, text.splitlines())) <= 80
    listed = [name for commands in main.sections.values() for name in commands]
    assert sorted(command.name for command in listed) == sorted(main.commands)
    for heading, commands in main.sections.items():
        part = text.split(f"\n{heading}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in part.splitlines()] == [x.name for x in commands]
    assert text.endswith("Example:\n  vipann-tf quickstart --out quickstart\n")


@pytest.mark.parametrize("name", sorted(main.commands))
def test_examples_are_commands(name):
    command = main.commands[name]
    assert f"Example:\n  vipann-tf {name} " in shown(name)
    program, called, *arguments = shlex.split(command.example.replace("\\\n", ""))
    assert (program, called) == ("vipann-tf", name)
    command.make_context(name, arguments)  # raises at what it does not know


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_option_is_explained(name):
    for parameter in main.commands[name].params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name
