"""A study whose cells' results were made up from a seed, in no time: what tables are tested on."""

import json
import zlib
from pathlib import Path

import numpy as np
import scipy.special

from vipann_tf.evaluation.results import Answers, Results, write_clip_csv
from vipann_tf.evaluation.summary import summarise
from vipann_tf.recipes import load_recipe
from vipann_tf.study.directory import StudyDirectory
from vipann_tf.study.grid import Cell
from vipann_tf.study.recipe import StudyRecipe
from vipann_tf.uncertainty.decomposition import decompose

LABELS = ("a", "b", "c")
FOLD = 10  # clips in a fold
OUTSIDE = 7
# How far the right label's logit is above the others: what makes a strategy good.
SKILL = {"det": 0.5, "drop": 0.8, "flip": 0.2, "det-flip": 4.0}


def study_recipe(**changes) -> StudyRecipe:
    names = ("a", "speech", "ships", "tagging")
    kinds = ("deterministic", "dropout", "flipout")
    values = {
        "datasets": {name: {"directory": f"d/{name}"} for name in names},
        "upstream": {
            kind: {"model": f"m/{kind}", "kind": kind, "data": "tagging"} for kind in kinds
        },
        "downstream": {
            "a": {
                "data": "a",
                "folds": 3,
                "ood": ["speech", "ships"],
                "recipes": {"fixed": {}, "finetune": {}},
            }
        },
        "variants": {"elbo": {"objective": {"kl_reduction": "sum"}}},
        "grid": [
            {"strategies": list(SKILL), "modes": ["fixed"], "seeds": [0, 1]},
            {"strategies": ["det-flip"], "modes": ["fixed"], "variants": ["elbo"]},
            {"strategies": ["det"], "modes": ["fixed"], "fractions": [0.5]},
        ],
    }
    return load_recipe(StudyRecipe, None, [{**values, **changes}])


def write_cell(directory: StudyDirectory, cell: Cell) -> Results:
    """Finishes a cell."""
    rng = np.random.default_rng(zlib.crc32(cell.name.encode()))
    draws = 1 if cell.strategy == "det" else 4
    first = FOLD * ((cell.fold or 1) - 1)
    truth = np.eye(3, dtype=int)[(first + np.arange(FOLD)) % 3]
    skill = SKILL[cell.strategy]
    results = Results(
        model=cell.name,
        dataset="a",
        split="eval" if cell.fold is None else f"fold{cell.fold}",
        task="multiclass",
        labels=LABELS,
        answers=_answers(rng, skill * truth, draws, [f"clip{first + i}" for i in range(FOLD)]),
        truth=truth,
        num_draws=draws,
        seed=0,
        command="",
        # As the data sets call themselves, which is not what the study calls them.
        outside={
            name: _answers(
                rng, np.zeros((OUTSIDE, 3)), draws, [f"{name}{i}" for i in range(OUTSIDE)]
            )
            for name in ("folder", "shipsear")
        },
    )
    (directory.cell(cell) / "1").mkdir(parents=True)
    _write(results, directory.cell_evaluation(cell))
    return results


def write_upstream(directory: StudyDirectory, name: str) -> Results:
    """Evaluates an upstream network."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    truth = np.r_[rng.integers(0, 2, (12, 3)), np.zeros((1, 3), int), np.ones((1, 3), int)]
    samples = scipy.special.expit(rng.normal(size=(2, 14, 3)) + truth)
    results = Results(
        model=name,
        dataset="tagging",
        split="eval",
        task="multilabel",
        labels=LABELS,
        answers=Answers.from_decomposition(
            [f"t{i}" for i in range(14)], decompose(samples, "multilabel")
        ),
        truth=truth,
        num_draws=2,
        seed=0,
        command="",
    )
    _write(results, directory.upstream_evaluation(name))
    return results


def write_curves(directory: StudyDirectory, cell: Cell) -> None:
    """Finishes a cell of mode active, in which only "epistemic" is better than random."""
    active = directory.recipe.active
    directory.cell(cell).mkdir(parents=True)
    for acquisition in active.acquisitions:
        rng = np.random.default_rng(zlib.crc32(f"{cell.name}/{acquisition}".encode()))
        gain = 0.05 if acquisition == "epistemic" else 0
        rounds = []
        for i in range(active.rounds + 1):
            accuracy = 0.6 + 0.3 * i / active.rounds + gain * (i > 0) + rng.normal(scale=0.01)
            scores = {"accuracy": accuracy, "nll": 2 * (1 - accuracy)}
            rounds.append({"labels": 6 + active.per_round * i, "scores": scores})
        curve = {"task": "multiclass", "rounds": rounds}
        file = directory.curve(cell, acquisition)
        file.write_text(json.dumps(curve), encoding="utf-8")


def _answers(rng, logits, draws, ids) -> Answers:
    shape = (draws, *logits.shape)
    noise = rng.normal(size=logits.shape) + (0.7 * rng.normal(size=shape) if draws > 1 else 0)
    samples = np.broadcast_to(logits + noise, shape)
    probs = scipy.special.softmax(samples, axis=-1)
    return Answers.from_decomposition(ids, decompose(probs, "multiclass"))


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(summarise(results, resamples=20)))
    write_clip_csv(results, folder / "predictions.csv")
