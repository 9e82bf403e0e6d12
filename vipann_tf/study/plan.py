"""What of a study is done, and what the rest will cost. No TensorFlow in here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vipann_tf.datasets import find
from vipann_tf.recipes import PretrainRecipe, TransferRecipe
from vipann_tf.records.schema import read_dataset_info
from vipann_tf.study.grid import Cell, pretrain_recipe, transfer_recipe, upstream_kind
from vipann_tf.study.places import Places, read_record
from vipann_tf.training.run import unfinished

__all__ = ["Task", "plan", "seconds_left"]


@dataclass(frozen=True)
class Task:
    """A data set to prepare, an upstream network to train, or a cell; evaluation included.

    Attributes:
      stage: `prepare`, `upstream` or `cell`.
      name: Name of the data set, network or cell.
      state: `finished`, `unfinished` (goes on where it stopped), `failed` (is tried again) or
        `to do`; while it is run also `running`, and `elsewhere` where another process has it.
      seconds: What it took, or will take by the recipe's `costs` and by what its like has taken;
        `None` where nothing is known.
      cost: Key of `costs`.
      cell: The cell, of stage `cell`.
    """

    stage: str
    name: str
    state: str
    seconds: float | None
    cost: str
    cell: Cell | None = None


def plan(places: Places, chosen: Sequence[Cell], *, everything: bool = False) -> list[Task]:
    """The tasks behind some cells, in the order in which they are done.

    Args:
      places: The study.
      chosen: Its cells that are wanted.
      everything: Whether upstream networks that none of these cells needs are wanted too.
    """
    recipe = places.recipe
    needed = {cell.upstream for cell in chosen}
    networks = [name for name in recipe.upstream if everything or name in needed]
    wanted = [recipe.upstream[name].data for name in networks]
    for name in dict.fromkeys(cell.downstream for cell in chosen):
        wanted += [recipe.downstream[name].data, *recipe.downstream[name].ood]
    tasks = [_dataset(places, name) for name in dict.fromkeys(wanted) if name is not None]
    tasks += [_upstream(places, name) for name in networks]
    tasks += [_cell(places, cell) for cell in chosen]
    return _corrected(tasks, places)


def seconds_left(tasks: Sequence[Task]) -> tuple[float, int]:
    """Estimated seconds of what is not finished, and the number of tasks of unknown cost."""
    left = [task.seconds for task in tasks if task.state != "finished"]
    return sum(x for x in left if x is not None), left.count(None)


def _dataset(places: Places, name: str) -> Task:
    seconds = _cost(places, "prepare", _clips(places, name))
    state = _state(places, "prepare", name, places.dataset_there(name))
    return Task("prepare", name, state, seconds, "prepare")


def _upstream(places: Places, name: str) -> Task:
    upstream = places.recipe.upstream[name]
    cost = f"pretrain-{upstream_kind(upstream)}"
    heard = 0.0
    if upstream.recipe:
        heard = _heard(pretrain_recipe(upstream), _clips(places, upstream.data))
    begun = bool(upstream.recipe and unfinished(places.upstream(name)))
    state = _state(places, "upstream", name, places.upstream_finished(name), begun)
    return Task("upstream", name, state, _cost(places, cost, heard), cost)


def _cell(places: Places, cell: Cell) -> Task:
    recipe = transfer_recipe(places.recipe, cell)
    downstream = places.recipe.downstream[cell.downstream]
    clips, folds = _clips(places, downstream.data), len(downstream.fold_numbers)
    if clips is not None and folds > 1:
        clips *= (folds - 1) / folds
    cost = f"{cell.strategy}-{cell.mode}"
    begun = unfinished(places.cell(cell)) is not None
    state = _state(places, "cell", cell.name, places.finished(cell), begun)
    return Task("cell", cell.name, state, _cost(places, cost, _heard(recipe, clips)), cost, cell)


def _state(places: Places, stage: str, name: str, done: bool, begun: bool = False) -> str:
    if done:
        return "finished"
    record = read_record(places.record(stage, name))
    if record is not None and record.status == "failed":
        return "failed"
    return "unfinished" if begun or record is not None else "to do"


def _clips(places: Places, name: str) -> float | None:
    """Number of clips of a data set: what is there, else what the recipe expects."""
    if places.dataset_there(name):
        return read_dataset_info(places.dataset(name)).clips
    dataset = places.recipe.datasets[name]
    if dataset.clips is None and dataset.dataset and not find(dataset.dataset).needs_source:
        return dataset.options.get("clips")
    return dataset.clips


def _heard(recipe: PretrainRecipe | TransferRecipe, clips: float | None) -> float | None:
    """Clips that a training hears, each as often as it does."""
    if recipe.training.steps is not None:
        return recipe.training.steps * recipe.training.batch_size
    return None if clips is None else recipe.training.epochs * clips * recipe.data.fraction


def _cost(places: Places, key: str, heard: float | None) -> float | None:
    cost = places.recipe.costs.get(key)
    if cost is None or heard is None:
        return None
    return cost.start_s + cost.clip_ms / 1000 * heard


def _corrected(tasks: Sequence[Task], places: Places) -> list[Task]:
    """The tasks with measured times where there are any, and estimates scaled by those of their
    like.
    """
    took = {}
    for task in tasks:
        record = read_record(places.record(task.stage, task.name))
        if task.state == "finished" and record is not None and record.status == "finished":
            took[task] = record.seconds
    scale = {}
    for key in {task.cost for task in took}:
        known = [task for task in took if task.cost == key and task.seconds]
        if known:
            scale[key] = sum(took[task] for task in known) / sum(task.seconds for task in known)
    result = []
    for task in tasks:
        seconds = task.seconds
        if task in took:
            seconds = took[task]
        elif seconds is not None and task.state != "finished":
            seconds *= scale.get(task.cost, 1.0)
        result.append(replace(task, seconds=seconds))
    return result
