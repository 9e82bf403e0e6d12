"""The commands pretrain, transfer and laplace."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from vipann_tf.choices import Devices, LaplacePrecision, Mode, Strategy
from vipann_tf.cli.command import Command
from vipann_tf.cli.options import RecipeName, common, training_options
from vipann_tf.cli.printing.directories import print_model
from vipann_tf.errors import UserError

if TYPE_CHECKING:
    from vipann_tf.training.progress import Progress


@click.command(
    cls=Command,
    example="vipann-tf pretrain pretrain/small_flipout --data data/mine --out models/base",
)
@click.argument("recipe", type=RecipeName("pretrain"))
@click.option(
    "--from",
    "base",
    metavar="MODEL",
    help="Start from the weights of this model, which has the same shape and labels; a "
    "deterministic one starts a Flipout network (give variational.moped_delta).",
)
@training_options
def pretrain(
    recipe: str,
    base: str | None,
    data: str,
    out: str,
    settings: tuple[str, ...],
    allow_empty_labels: bool,
    devices: Devices,
    overwrite: bool,
) -> None:
    """Train a network on many sounds, as RECIPE (a YAML file) says."""
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.trainings import training_note
    from vipann_tf.face.training import pretrain as run

    with terminal.progress("Pretraining") as show:
        version = run(
            recipe,
            data,
            out,
            base=base,
            settings=settings,
            allow_empty_labels=allow_empty_labels,
            devices=devices,
            overwrite=overwrite,
            on_progress=training_note(show),
        )
    if version != Path(out):  # this process has written it
        print_model(out)


@click.command(
    cls=Command,
    example="vipann-tf transfer --strategy det-flip --base models/base --data data/mine \\\n"
    "  --test-fold 5 --out models/mine",
)
@click.option(
    "--strategy", type=click.Choice(get_args(Strategy)), help="Which layers are Bayesian, and how."
)
@click.option(
    "--base", required=True, metavar="MODEL", help="Model directory of the pretrained network."
)
@click.option("--mode", type=click.Choice(get_args(Mode)), help="Train the head or everything.")
@click.option("--test-fold", type=int, metavar="K", help="Fold to hold out.")
@click.option(
    "--folds",
    metavar="all|K,K,...",
    help="Cross-validate: hold out each fold in turn, train, evaluate; print mean and interval.",
)
@click.option("--final", is_flag=True, help="With --folds: also train a model on all folds.")
@click.option(
    "--parallel-folds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="With --folds: train this many at once, each on its own GPU or on a share of the cores.",
)
@click.option(
    "--members",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="M",
    help="Train M networks from M seeds, and make them one model: a deep ensemble.",
)
@click.option(
    "--parallel-members",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="With --members: train this many at once, each on its own GPU or on a share of the cores.",
)
@click.option("--recipe", metavar="FILE", help="YAML file; by default the default values.")
@training_options
def transfer(
    strategy: Strategy | None,
    base: str,
    mode: Mode | None,
    test_fold: int | None,
    folds: str | None,
    final: bool,
    parallel_folds: int,
    members: int,
    parallel_members: int,
    recipe: str | None,
    data: str,
    out: str,
    settings: tuple[str, ...],
    allow_empty_labels: bool,
    devices: Devices,
    overwrite: bool,
) -> None:
    """Transfer a pretrained network to the labels of a dataset."""
    _check_folds(folds, test_fold, final, parallel_folds, parallel_members)
    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.trainings import print_cross_validation, training_note
    from vipann_tf.face import training

    common: dict[str, Any] = {
        "strategy": strategy,
        "mode": mode,
        "members": members,
        "recipe": recipe,
        "settings": settings,
        "allow_empty_labels": allow_empty_labels,
        "devices": devices,
        "overwrite": overwrite,
    }
    with terminal.progress("Cross-validating" if folds else "Transferring") as show:

        def on_progress(name: str, progress: "Progress") -> None:
            training_note(show, f"{name}: " if name else "")(progress)

        if folds:
            summary = training.cross_validate(
                base,
                data,
                out,
                folds=_fold_numbers(folds),
                final=final,
                parallel_folds=parallel_folds,
                on_progress=on_progress,
                **common,
            )
        else:
            version = training.transfer(
                base,
                data,
                out,
                test_fold=test_fold,
                parallel_members=parallel_members,
                on_progress=on_progress,
                **common,
            )
    if folds:
        print_cross_validation(out, summary)
    elif version != Path(out):
        print_model(out)


@click.command(
    cls=Command,
    example="vipann-tf laplace models/det --data data/mine --out models/det-laplace",
)
@click.argument("model")
@common("data", "out", "num_draws")
@click.option(
    "--prior-precision",
    metavar="evidence|weights|P",
    help="Precision of the prior (1 / variance): evidence chooses the one with the largest "
    "evidence, weights the one that fits the trained weights; by default as in the model's recipe.",
)
@common("overwrite")
def laplace(
    model: str,
    data: str,
    out: str,
    num_draws: int | None,
    prior_precision: str | None,
    overwrite: bool,
) -> None:
    """Make a deterministic model Bayesian without training it again.

    The last layer gets a Laplace posterior, fitted to the clips that MODEL was trained on: --data
    is their dataset directory. The result is a new model; the calibration of MODEL is not kept.
    """
    from vipann_tf.cli.printing import terminal
    from vipann_tf.training.laplace import add_laplace_head

    precision = _precision(prior_precision)
    with terminal.progress("Fitting") as show:
        add_laplace_head(
            model,
            data,
            out,
            num_draws=num_draws,
            precision=precision,
            overwrite=overwrite,
            on_progress=show,
        )
    print_model(out)


def _check_folds(
    folds: str | None,
    test_fold: int | None,
    final: bool,
    parallel_folds: int,
    parallel_members: int,
) -> None:
    """Raise a `UserError` if options of one and of several models exclude each other."""
    if folds and test_fold is not None:
        raise UserError("--test-fold holds out one fold and --folds each in turn; give one of them")
    if final and not folds:
        raise UserError(
            "--final goes with --folds; without it, name all folds: --set data.train=[...]"
        )
    if parallel_folds > 1 and not folds:
        raise UserError("--parallel-folds goes with --folds, such as --folds all")
    if parallel_members > 1 and folds:
        raise UserError(
            "--parallel-members and --folds exclude each other; use --parallel-folds for folds"
        )


def _fold_numbers(text: str) -> list[int] | None:
    if text == "all":
        return None
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise UserError(f"--folds is {text!r}; give all, or numbers such as 1,2,3") from None


def _precision(text: str | None) -> float | LaplacePrecision | None:
    match text:
        case None | "evidence" | "weights":
            return text
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"--prior-precision is {text!r}; give evidence, weights or a number above 0"
        ) from None


COMMANDS = (pretrain, transfer, laplace)
