"""Commands with `--debug`, and what an error of the user's looks like."""

import click

from vipann_tf.errors import UserError

# The exit status of a process that an interrupt ended.
INTERRUPTED = 130


def _set_debug(context: click.Context, _, value: bool) -> None:
    if value:
        context.find_root().meta["debug"] = True


class Command(click.Command):
    """A command with `--debug`, which shows the traceback of an error."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_set_debug,
                help="Show the traceback of an error.",
            )
        )


class Group(click.Group):
    """Commands whose `UserError`s are one line and exit status 1."""

    command_class = Command

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except UserError as error:
            if context.find_root().meta.get("debug"):
                raise
            click.echo(f"Error: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted; nothing unfinished was left as finished.", err=True)
            context.exit(INTERRUPTED)
