"""The commands pretrain, transfer and laplace."""

from typing import Any, get_args

import click

from vipann_tf.choices import Devices, LaplacePrecision, Mode, Strategy
from vipann_tf.cli.command import Command
from vipann_tf.cli.options import RecipeName, common, training_options
from vipann_tf.cli.printing.directories import print_model
from vipann_tf.errors import UserError


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
    from vipann_tf.recipes import PretrainRecipe, load_recipe

    settings += ("data.allow_empty_labels=true",) * allow_empty_labels
    resolved = load_recipe(PretrainRecipe, recipe, settings)

    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.trainings import training_note
    from vipann_tf.training.distribution import make_distribution
    from vipann_tf.training.pretrain import pretrain as run

    with terminal.progress("Pretraining") as show:
        version = run(
            resolved,
            data,
            out,
            base=base,
            distribution=make_distribution(devices),
            overwrite=overwrite,
            on_progress=training_note(show),
        )
    if version is not None:
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
    from vipann_tf.recipes import TransferRecipe, load_recipe

    _check_folds(folds, test_fold, final, parallel_folds, devices)
    _check_members(folds, members, parallel_members, devices)
    chosen = {"strategy": strategy, "mode": mode}
    settings = (*settings, *(f"{key}={value}" for key, value in chosen.items() if value))
    settings += ("data.allow_empty_labels=true",) * allow_empty_labels
    resolved = load_recipe(TransferRecipe, recipe, settings)

    from vipann_tf.cli.printing import terminal
    from vipann_tf.cli.printing.trainings import print_cross_validation, training_note
    from vipann_tf.training.distribution import make_distribution

    common: dict[str, Any] = {
        # At the same time: this process trains nothing and must leave the GPUs to the others.
        "distribution": None
        if parallel_folds > 1 or parallel_members > 1
        else make_distribution(devices),
        "overwrite": overwrite,
    }
    if folds:
        from vipann_tf.training.cross_validation import cross_validate

        with terminal.progress("Cross-validating") as show:
            summary = cross_validate(
                resolved,
                base,
                data,
                out,
                folds=_fold_numbers(folds),
                final=final,
                members=members,
                parallel=parallel_folds,
                on_progress=lambda name, progress: training_note(show, f"{name}: ")(progress),
                **common,
            )
        print_cross_validation(out, summary)
        return
    if members > 1:
        from vipann_tf.training.members import transfer_members

        with terminal.progress("Transferring") as show:
            transfer_members(
                resolved,
                base,
                data,
                out,
                members=members,
                test_fold=test_fold,
                parallel=parallel_members,
                on_progress=lambda name, progress: training_note(show, f"{name}: ")(progress),
                **common,
            )
        print_model(out)
        return
    from vipann_tf.training.transfer import transfer as run

    with terminal.progress("Transferring") as show:
        version = run(
            resolved,
            base,
            data,
            out,
            test_fold=test_fold,
            on_progress=training_note(show),
            **common,
        )
    if version is not None:
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
    folds: str | None, test_fold: int | None, final: bool, parallel_folds: int, devices: Devices
) -> None:
    """Raise a `UserError` if options exclude each other."""
    if folds and test_fold is not None:
        raise UserError("--test-fold holds out one fold and --folds each in turn; give one of them")
    if final and not folds:
        raise UserError(
            "--final goes with --folds; without it, name all folds: --set data.train=[...]"
        )
    if parallel_folds > 1 and not folds:
        raise UserError("--parallel-folds goes with --folds, such as --folds all")
    if parallel_folds > 1 and devices not in ("auto", "none"):
        raise UserError(
            f"--parallel-folds gives each fold one device, --devices {devices} each step several; "
            "give one of them"
        )


def _check_members(
    folds: str | None, members: int, parallel_members: int, devices: Devices
) -> None:
    """Raise a `UserError` if options exclude each other."""
    if parallel_members == 1:
        return
    if members == 1:
        raise UserError("--parallel-members goes with --members, such as --members 5")
    if folds:
        raise UserError(
            "--parallel-members and --folds exclude each other; use --parallel-folds for folds"
        )
    if devices not in ("auto", "none"):
        raise UserError(
            f"--parallel-members gives each member one device, --devices {devices} each step "
            "several; give one of them"
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
