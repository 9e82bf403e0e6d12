"""The report's table of clips: truth, answer and uncertainty of each, own and unfamiliar ones."""

from collections.abc import Collection
from typing import Any

import numpy as np

from vipann_tf.evaluation.results import KINDS, Results

__all__ = ["MOST_CLIPS", "first_rows", "listed_clips", "table_columns"]

MOST_CLIPS = 8000  # of the table, about 0.1 kB each; predictions.csv has all
FIRST_ROWS = 20  # without a script


def listed_clips(results: Results, named: Collection[int] = ()) -> dict[str, list[int]]:
    """Return the rows of the clips that the table lists, by set; all if they are not too many.

    Otherwise each set gives a share of its clips, evenly spaced from the surest to the least sure
    one, which it holds both. Clips that other parts of the page name are listed in any case.

    Args:
      results: Results of the evaluation.
      named: Rows of the data set's own clips that are listed in any case.

    Returns:
      Set -> rows in their order; "" is the data set's own.
    """
    sets = {"": results.answers, **results.outside}
    total = sum(len(answers.clip_ids) for answers in sets.values())
    room = max(MOST_CLIPS - len(named), 0)
    found = {}
    for name, answers in sets.items():
        count = len(answers.clip_ids)
        rows = np.arange(count)
        if total > MOST_CLIPS:
            order = np.argsort(answers.answer_uncertainty("total", results.task), kind="stable")
            kept = min(max(room * count // total, 2), count)
            rows = order[np.linspace(0, count - 1, kept).round().astype(int)]
            if answers is results.answers:
                rows = np.union1d(rows, np.array(sorted(named), int))
        found[name] = sorted(rows.tolist())
    return found


def table_columns(results: Results, listed: dict[str, list[int]]) -> dict[str, Any]:
    """Return the table by columns, for the page's script.

    Args:
      results: Results of the evaluation.
      listed: What `listed_clips` returned.

    Returns:
      sets: Names of the sets, the data set's own first.
      set, id, truth (lists of labels), answer (a label), p (probability of the answer), total,
      aleatoric, epistemic (of the answer, nats): lists, an entry per clip. Sets and labels are
      numbers.
    """
    columns: dict[str, Any] = {name: [] for name in ("set", "id", "truth", "answer", "p", *KINDS)}
    for number, (name, rows) in enumerate(listed.items()):
        answers = results.outside[name] if name else results.answers
        probs = np.asarray(answers.probs)[rows]
        columns["set"] += [number] * len(rows)
        columns["id"] += [answers.clip_ids[row] for row in rows]
        columns["truth"] += (
            [np.flatnonzero(x).tolist() for x in np.asarray(results.truth)[rows]]
            if not name
            else [[] for _ in rows]
        )
        columns["answer"] += probs.argmax(axis=1).tolist()
        columns["p"] += _short(probs.max(axis=1))
        for kind in KINDS:
            columns[kind] += _short(answers.answer_uncertainty(kind, results.task)[rows])
    return {"sets": [results.split, *results.outside], **columns}


def first_rows(results: Results) -> list[dict[str, Any]]:
    """Return the table's rows for a page whose script does not run: the least sure own clips."""
    total = results.answers.answer_uncertainty("total", results.task)
    rows = np.argsort(-total, kind="stable")[:FIRST_ROWS].tolist()
    columns = table_columns(results, {"": rows})
    wrong = results.wrong[rows]
    return [
        {
            "id": columns["id"][i],
            "truth": [results.labels[label] for label in columns["truth"][i]],
            "answer": results.labels[columns["answer"][i]],
            "p": columns["p"][i],
            "right": not wrong[i],
            **{kind: columns[kind][i] for kind in KINDS},
        }
        for i in range(len(rows))
    ]


def _short(values: np.ndarray) -> list[float]:
    return np.round(np.asarray(values, np.float64), 4).tolist()
