"""Commands whose help has an example, and which report user errors in one line."""

import contextlib
import errno
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from vipann_tf.errors import UserError

# Exit status of an interrupted process.
INTERRUPTED = 130
# Key of a context's `meta`: the command as it was typed.
_TYPED = "vipann_tf.typed"


def _expanded(argument: str) -> str:
    """Return an argument with a home directory in place of its `~`.

    Shells do this, but not within quotes or after `--out=`; a folder that is called ~ is dangerous
    to remove.
    """
    match = re.fullmatch(r"(--[\w-]+=)?(~.*)", argument, re.DOTALL)
    return argument if match is None else (match[1] or "") + os.path.expanduser(match[2])


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["debug"] = True


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    with formatter.section("Example"):
        formatter.write_text("\b\n" + example)  # the mark keeps the lines as they are


class Command(click.Command):
    """A command with an example, and with `--debug`, which shows the traceback of an error.

    Args:
      example: Lines that users can type.
    """

    def __init__(self, *args: Any, example: str, **options: Any):
        super().__init__(*args, **options)
        self.example = example
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_set_debug,
                help="Show the traceback of an error.",
            )
        )

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, in which `~` is a home directory, and keep them as typed."""
        context.meta[_TYPED] = shlex.join(["vipann-tf", str(context.info_name), *args])
        try:
            return super().parse_args(context, [_expanded(argument) for argument in args])
        except click.NoSuchOption as error:
            files = [word for word in args if word.startswith("-") and os.path.exists(word)]
            if not files:
                raise
            # YouTube's names, and so AudioSet's, may begin with a dash.
            hint = f"{files[0]!r} is a file: write ./{files[0]}, or -- before the files"
            raise click.UsageError(f"{error.format_message()} {hint}", context) from error

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the options."""
        _write_example(formatter, self.example)


def _leave_stdout() -> None:
    """Let what could not be written go nowhere, so that Python's exit does not try it again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def typed_command() -> str:
    """Return the command that is running, as a user would type it again."""
    return str(click.get_current_context().meta[_TYPED])


class Group(click.Group):
    """Commands under headings; their `UserError` becomes one line and exit status 1.

    Args:
      sections: Heading -> its commands.
      example: As in `Command`.
    """

    command_class = Command

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Sequence[click.Command]],
        example: str,
        **options: Any,
    ):
        super().__init__(*args, **options)
        self.sections = sections
        self.example = example
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of commands for each section."""
        width = max(len(name) for name in self.commands)
        limit = formatter.width - width - 4
        for heading, commands in self.sections.items():
            rows = [(f"{x.name:{width}}", x.get_short_help_str(limit)) for x in commands]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the commands."""
        _write_example(formatter, self.example)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; what the system refuses, such as a full disk, is one line too."""
        try:
            with contextlib.ExitStack() as stack:
                # A full disk shows here, and not when Python ends.
                stack.callback(sys.stdout.flush)
                return super().main(*args, **options)
        except OSError as error:
            if "--debug" in sys.argv:
                raise
            _leave_stdout()
            if error.errno != errno.EPIPE:  # nobody reads on: nothing to say
                where = f": {error.filename}" if error.filename else ""
                click.echo(f"Error: {error.strerror or error}{where}", err=True)
            sys.exit(1)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; report a `UserError` or an interrupt, and exit."""
        try:
            return super().invoke(context)
        except UserError as error:
            if context.find_root().meta.get("debug"):
                raise
            click.echo(f"Error: {error}", err=True)
            context.exit(1)
        # Abort: click's word for an interrupt while a step of `quickstart` reads its arguments.
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted; no unfinished result is marked as finished.", err=True)
            context.exit(INTERRUPTED)
