"""The work of a study's jobs, by the functions of the ordinary commands."""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from vipann_tf import datasets
from vipann_tf.datasets.remote_tree import source_tree
from vipann_tf.errors import UserError
from vipann_tf.evaluation.draw_statistics import draw_statistics
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.evaluation.result_files import METRICS_JSON
from vipann_tf.published.importing import import_checkpoint
from vipann_tf.recipes import TrainingRecipe, TransferRecipe
from vipann_tf.records.prepare import prepare
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.ensembling import ensemble
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.reexport import reexport
from vipann_tf.saved_model.versions import finished_versions
from vipann_tf.study.derived import is_new_export, sources
from vipann_tf.study.directory import StudyDirectory, has_results
from vipann_tf.study.grid import ENSEMBLE, Cell, pretrain_recipe, transfer_recipe
from vipann_tf.study.jobs import OnProgress
from vipann_tf.training.laplace import add_laplace_head
from vipann_tf.training.pretrain import pretrain
from vipann_tf.training.progress import Progress
from vipann_tf.training.transfer import transfer

__all__ = ["prepare_dataset", "run_cell", "train_upstream"]


def prepare_dataset(study: StudyDirectory, name: str, on_progress: OnProgress) -> None:
    """Prepare a data set unless it exists."""
    if study.is_prepared(name):
        return
    wanted = study.recipe.datasets[name]
    if wanted.directory is not None:
        read_dataset_info(wanted.directory)  # raises if it is missing or damaged
    assert wanted.dataset is not None  # the recipe has one of the two
    options = dict(wanted.options)
    if "seconds" in datasets.find(wanted.dataset).options:
        options["seconds"] = wanted.seconds
    source = source_tree(wanted.source) if wanted.source is not None else None
    prepare(
        datasets.load(wanted.dataset, source, **options),
        study.dataset(name),
        seconds=wanted.seconds,
        on_progress=lambda done, total: on_progress(done, total, "clips"),
    )


def train_upstream(
    study: StudyDirectory,
    name: str,
    distribution: tf.distribute.Strategy | None,
    on_progress: OnProgress,
) -> None:
    """Train or import an upstream network unless it exists, and evaluate it."""
    upstream, out = study.recipe.upstream[name], study.upstream(name)
    if upstream.model is not None:
        read_model_info(out)  # raises if it is missing or damaged
    elif upstream.recipe is not None:
        recipe = pretrain_recipe(upstream)
        assert upstream.data is not None  # the recipe checks this
        if finished_versions(out):
            _check_recipe(out, recipe)
        else:
            pretrain(
                recipe,
                study.dataset(upstream.data),
                out,
                base=None if upstream.base is None else study.upstream(upstream.base),
                distribution=distribution,
                on_progress=_training_progress(on_progress),
            )
    elif upstream.checkpoint is not None and not finished_versions(out):
        import_checkpoint(upstream.checkpoint, out, labels=upstream.labels, signs=upstream.signs)
    if upstream.data is not None:
        _evaluate(study, out, upstream.data, [], study.upstream_evaluation(name), on_progress)


def run_cell(
    study: StudyDirectory,
    cell: Cell,
    distribution: tf.distribute.Strategy | None,
    on_progress: OnProgress,
) -> None:
    """Transfer and evaluate for a cell; keep existing results."""
    recipe, out = transfer_recipe(study.recipe, cell), study.cell(cell)
    downstream = study.recipe.downstream[cell.downstream]
    made_from = sources(study.recipe, cell)
    if finished_versions(out):
        if not made_from:
            _check_recipe(out, recipe)
    elif made_from:
        _derive(study, cell, made_from, recipe)
    else:
        transfer(
            recipe,
            study.upstream(cell.upstream),
            study.dataset(downstream.data),
            out,
            test_fold=cell.fold,
            distribution=distribution,
            on_progress=_training_progress(on_progress),
        )
    _evaluate(study, out, downstream.data, downstream.ood, study.cell_evaluation(cell), on_progress)


def _derive(
    study: StudyDirectory, cell: Cell, made_from: Sequence[Cell], recipe: TransferRecipe
) -> None:
    """Make the model of a cell from the models of other cells."""
    models, out = [study.cell(source) for source in made_from], study.cell(cell)
    if not all(map(finished_versions, models)):
        names = ", ".join(source.name for source in made_from)
        raise UserError(f"it is made from {names}, and not all of them are finished")
    if cell.strategy == ENSEMBLE and not is_new_export(study.recipe, cell):
        ensemble(models, out)
        return
    data = study.dataset(study.recipe.downstream[cell.downstream].data)
    if cell.strategy == "det-laplace" and not is_new_export(study.recipe, cell):
        add_laplace_head(
            models[0],
            data,
            out,
            num_draws=recipe.export.num_draws,
            precision=recipe.variational.laplace_precision,
        )
        return
    wanted = recipe.export
    statistics = None
    if wanted.batch_norm == "draw":
        statistics = draw_statistics(models[0], data, num_draws=wanted.num_draws, seed=wanted.seed)
    reexport(
        models[0],
        out,
        num_draws=wanted.num_draws,
        seed=wanted.seed,
        draw_storage=wanted.draw_storage,
        draw_statistics=statistics,
    )


def _evaluate(
    study: StudyDirectory,
    model: Path,
    data: str,
    ood: Sequence[str],
    out: Path,
    on_progress: OnProgress,
) -> None:
    outside = [study.dataset(name) for name in ood]
    wanted = study.recipe.evaluation
    tested = ModelUnderTest.open(model, num_draws=wanted.num_draws, seed=wanted.seed)
    if has_results(out) and _same_evaluation(out, tested, outside):
        return
    command = ["vipann-tf", "evaluate", model, "--data", study.dataset(data), "--out", out]
    command += ["--num-draws", tested.num_draws, "--seed", tested.seed]
    for directory in outside:
        command += ["--ood", directory]
    evaluate(
        model,
        study.dataset(data),
        out,
        num_draws=tested.num_draws,
        seed=tested.seed,
        ood=outside,
        command=shlex.join(map(str, command)),
        overwrite=True,
        report="small",  # a study has hundreds
        on_progress=lambda done, total: on_progress(done, total, "clips evaluated"),
    )


def _same_evaluation(out: Path, tested: ModelUnderTest, outside: Sequence[str]) -> bool:
    summary = json.loads((out / METRICS_JSON).read_text(encoding="utf-8"))
    # The second of two sets of one name is called "name (directory)".
    names = [name.partition(" (")[0] for name in summary["ood"]]
    wanted = [read_dataset_info(directory).name for directory in outside]
    return (summary["draws"], summary["seed"], names) == (tested.num_networks, tested.seed, wanted)


def _check_recipe(model: Path, recipe: TrainingRecipe) -> None:
    """Raise a `UserError` if a finished model was trained by another recipe."""
    stored = type(recipe).model_validate(read_model_info(model).recipe)
    if stored != recipe:
        raise UserError(
            f"{model} was trained by another recipe than the study's; delete it to train it "
            "again, or choose another --out"
        )


def _training_progress(on_progress: OnProgress) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        note = f"loss {progress.loss:.3f}, {progress.steps_per_s:.2g} steps/s"
        on_progress(progress.step, progress.steps, note)

    return show
