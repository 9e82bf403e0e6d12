"""Small evaluations, made up from a seed, that several test modules look at."""

import dataclasses

import numpy as np
import scipy.special

from vipann_tf.evaluation.results import Answers, Results
from vipann_tf.uncertainty.decomposition import decompose

LABELS = ("dog", 'rain & "wind" <b>', "siren", "a label with quite a long name", "e")


def _answers(rng, logits, draws: int, task: str, prefix: str) -> Answers:
    spread = 1.0 if draws > 1 else 0.0
    samples = logits + spread * rng.normal(size=(draws, *logits.shape))
    link = scipy.special.expit if task == "multilabel" else scipy.special.softmax
    probs = link(samples) if task == "multilabel" else link(samples, axis=-1)
    ids = [f"{prefix}-{i:03d}" for i in range(len(logits))]
    return Answers.from_decomposition(ids, decompose(probs, task), logits=samples.mean(axis=0))


def example_results(task: str, clips: int = 40, draws: int = 6, **changes) -> Results:
    """Returns results of a model that is right more often than not, with one OOD set."""
    rng = np.random.default_rng(0)
    labels = len(LABELS)
    if task == "multiclass":
        truth = np.eye(labels, dtype=int)[np.arange(clips) % labels]
        logits = rng.normal(size=(clips, labels)) + 2.5 * truth
    else:
        logits = 2 * rng.normal(size=(clips, labels)) - 1
        truth = (rng.random(logits.shape) < scipy.special.expit(logits)).astype(int)
        truth[:, 4] = 0  # a label that cannot be scored
    answers = _answers(rng, logits, draws, task, "clip")
    if (groups := changes.pop("groups", None)) is not None:
        answers = dataclasses.replace(answers, groups=tuple(map(str, groups)))
    fields = {
        "model": "a model",
        "dataset": "a dataset",
        "split": "fold5",
        "task": task,
        "labels": LABELS,
        "answers": answers,
        "truth": truth,
        "num_draws": draws,
        "seed": 3,
        "command": "vipann-tf evaluate saved_models/a --data b --split fold5 --out c",
        "description": {"strategy": "det-flip"},
        "outside": {
            "other <sounds>": _answers(rng, rng.normal(size=(25, labels)), draws, task, "ood")
        },
    }
    return Results(**{**fields, **changes})


def without_errors(results: Results) -> Results:
    """Returns the results of a multiclass model that is right each time."""
    probs = 0.9 * results.truth + 0.1 / len(results.labels)
    return dataclasses.replace(results, answers=dataclasses.replace(results.answers, probs=probs))
