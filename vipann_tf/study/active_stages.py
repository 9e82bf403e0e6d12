"""The work of the jobs of mode active, by the functions of `vipann_tf.active`."""

import json
import time
from collections.abc import Callable
from typing import Any

from vipann_tf.active.clips import Clips
from vipann_tf.active.learner import HeadLearner
from vipann_tf.active.simulation import simulate
from vipann_tf.active.trunk import Trunk, source_of
from vipann_tf.errors import UserError
from vipann_tf.files import atomic
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.saved_model.metadata import read_model_info, single_network
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import Cell, transfer_recipe
from vipann_tf.study.jobs import OnProgress
from vipann_tf.training.transfer import training_splits

__all__ = ["compute_features", "run_curves"]


def compute_features(
    study: StudyDirectory, data: str, network: str, on_progress: OnProgress
) -> None:
    """Compute the features of a data set by an upstream network, unless they exist."""
    model, directory, out = (
        study.upstream(network),
        study.dataset(data),
        study.features(data, network),
    )
    if out.is_file():
        if Clips.load(out).source != source_of(model, read_dataset_info(directory)):
            raise UserError(
                f"{out} has the features of another network or data set; delete it, and they are "
                "computed again"
            )
        return
    clips = Trunk.open(model).clips(
        directory, on_progress=lambda done, total: on_progress(done, total, "clips")
    )
    clips.save(out)


def run_curves(study: StudyDirectory, cell: Cell, on_progress: OnProgress) -> None:
    """Find the learning curves of a cell; keep those that exist."""
    recipe, active = transfer_recipe(study.recipe, cell), study.recipe.active
    data = study.recipe.downstream[cell.downstream].data
    dataset, upstream = read_dataset_info(study.dataset(data)), study.upstream(cell.upstream)
    made_by: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "active": active.model_dump(
            mode="json", include={"start_per_label", "rounds", "per_round"}
        ),
        "source": source_of(upstream, dataset),
    }
    missing = []
    for acquisition in active.acquisitions:
        file = study.curve(cell, acquisition)
        if not file.is_file():
            missing.append(acquisition)
        elif json.loads(file.read_text(encoding="utf-8"))["made_by"] != made_by:
            raise UserError(
                f"{file} was made by another recipe, network or data set than the study's; delete "
                "it to make it again, or choose another --out"
            )
    if not missing:
        return
    clips = Clips.load(study.features(data, cell.upstream))
    splits, held_out = training_splits(dataset, recipe.data.train, cell.fold)
    base = single_network(read_model_info(upstream), upstream)
    learner = HeadLearner(recipe, base, dataset.labels, dataset.task)
    trainings = len(missing) * (active.rounds + 1)
    for number, acquisition in enumerate(missing):
        started = time.monotonic()
        show = _progress(on_progress, number * (active.rounds + 1), trainings)
        rounds = simulate(
            learner,
            clips.of(splits),
            clips.of(held_out),
            acquisition,
            start_per_label=active.start_per_label,
            rounds=active.rounds,
            per_round=active.per_round,
            seed=(cell.seed, cell.fold or 0),
            on_round=show,
        )
        curve = {
            "made_by": made_by,
            "task": dataset.task,
            "seconds": round(time.monotonic() - started, 1),
            "rounds": [vars(found) for found in rounds],
        }
        atomic.write_text(study.curve(cell, acquisition), json.dumps(curve, indent=1) + "\n")


def _progress(on_progress: OnProgress, before: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: on_progress(before + done, total, "trainings")
