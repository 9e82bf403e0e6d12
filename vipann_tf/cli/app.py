"""app: hear what a model doubts, label it, and learn from it."""

import click

from vipann_tf.cli.command import Command
from vipann_tf.cli.options import RecipeName, common
from vipann_tf.cli.printing import terminal
from vipann_tf.cli.printing.notices import print_notices
from vipann_tf.errors import UserError


@click.command(cls=Command, example="vipann-tf app models/mine --scan scans/may --data data/mine")
@click.argument("model")
@click.option("--scan", metavar="SCAN", help="Label windows of this finished scan.")
@click.option(
    "--data",
    metavar="DIR",
    help="Data set of MODEL's training: what is learnt from, too, and the held-out clips to score "
    "on. Without --scan, its clips that the model does not know are labelled.",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Without --scan: the split of --data to label. May be repeated.",
)
@click.option(
    "--out",
    metavar="DIR",
    help="Directory of labels.csv, which prepare csv reads, and of new models; by default "
    "SCAN/labels.",
)
@click.option(
    "--by",
    type=click.Choice(["epistemic", "aleatoric", "total"]),
    default="epistemic",
    show_default=True,
    help="Uncertainty that the clips are ranked by.",
)
@click.option(
    "--top", type=click.IntRange(1), default=100, show_default=True, metavar="K", help="Clips."
)
@click.option(
    "--recipe",
    type=RecipeName("transfer"),
    default="transfer/small_fixed",
    show_default=True,
    help="How a new head is trained, by det-flip.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; see the guide."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0: a free one."
)
@common("trust")
def app(
    model: str,
    scan: str | None,
    data: str | None,
    splits: tuple[str, ...],
    out: str | None,
    by: str,
    top: int,
    recipe: str,
    host: str,
    port: int,
    trust: bool,
) -> None:
    """Open a page to hear what MODEL doubts, to label it, and to learn.

    A browser on this machine shows it. Every answer is written at once.
    """
    try:
        from vipann_tf.app.run import open_session, serve
    except ModuleNotFoundError as error:
        raise UserError(f"the page needs {error.name}: pip install 'vipann-tf[app]'") from error
    from vipann_tf.recipes import TransferRecipe, load_recipe

    chosen = {"strategy": "det-flip", "mode": "fixed"}
    with terminal.progress("Preparing the page") as show:
        session = open_session(
            model,
            scan=scan,
            data=data,
            splits=splits,
            out=out,
            by=by,
            top=top,
            recipe=load_recipe(TransferRecipe, recipe, [chosen]),
            trust=trust,
            on_progress=lambda title: lambda done, total: show(done, total, title),
        )
    print_notices(session.notices)
    serve(
        session,
        host=host,
        port=port,
        on_ready=lambda address: click.echo(f"Open {address} (Ctrl-C ends it)"),
    )


COMMANDS = (app,)
