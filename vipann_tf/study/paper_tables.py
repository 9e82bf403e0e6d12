"""The tables of a study in the paper's arrangement, made from its cells' evaluations."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from vipann_tf.evaluation.results import KINDS
from vipann_tf.evaluation.stored_results import StoredResults
from vipann_tf.study.arms import Arm, metric_value
from vipann_tf.study.table import Number, Table
from vipann_tf.uncertainty.bootstrap import Interval
from vipann_tf.uncertainty.confidence_intervals import crossed_interval
from vipann_tf.uncertainty.metric_names import METRIC_NAMES

__all__ = ["downstream_table", "ood_table", "uncertainty_table", "upstream_table"]

_ACROSS = (
    "Means over folds and seeds with 95 % intervals over both (over folds alone where a seed lacks "
    "a fold), which are somewhat too narrow, since folds share training clips."
)
_ARM_HEADINGS = ["data", "network", "strategy", "mode", "options", "training clips", "folds"]


def upstream_table(upstream: dict[str, StoredResults]) -> Table:
    """Tabulate upstream networks on their evaluation splits, with intervals over clips."""
    shown = _present(
        ["map", "map_common", "auc", "d_prime", "accuracy", "nll", "ece"], upstream.values()
    )
    uncertain = [kind for kind in KINDS if kind != "total"]
    table = Table(
        "upstream",
        "Upstream networks",
        "On the evaluation split, with 95 % intervals over clips; uncertainty in nats.",
        ["network", "data", "clips", *(METRIC_NAMES[name].shown for name in shown), *uncertain],
    )
    for name, result in upstream.items():
        summary = result.summary
        row = [name, summary["dataset"], str(summary["clips"])]
        row += [Number(_interval(summary["metrics"].get(metric))) for metric in shown]
        row += [Number(_interval(summary["uncertainty"][kind])) for kind in uncertain]
        table.rows.append(row)
    return table


def downstream_table(arms: Sequence[Arm]) -> Table:
    """Tabulate accuracy and calibration of each arm."""
    every = [result for arm in arms for result in arm.results.values()]
    shown = _present(["accuracy", "map", "auc", "nll", "ece", "brier"], every)
    table = Table(
        "downstream",
        "Transfer",
        _ACROSS,
        [*_ARM_HEADINGS, *(METRIC_NAMES[name].shown for name in shown)],
    )
    for arm in arms:
        numbers = [_over_folds(arm, partial(metric_value, name=name)) for name in shown]
        table.rows.append([*_arm_cells(arm), *numbers])
    return table


def uncertainty_table(upstream: dict[str, StoredResults], arms: Sequence[Arm]) -> Table:
    """Tabulate the mean uncertainty of each network on sets upstream, downstream and outside."""
    table = Table(
        "uncertainty",
        "Uncertainty by data set",
        "Mean over clips, in nats. Upstream (multilabel: summed over labels) with bootstrap "
        f"intervals over clips; the others: {_ACROSS[0].lower()}{_ACROSS[1:]}",
        ["set of clips", *_ARM_HEADINGS[1:], *KINDS],
    )
    for name, result in upstream.items():
        numbers = [Number(_interval(result.summary["uncertainty"][kind])) for kind in KINDS]
        row = [f"{result.summary['dataset']} (upstream)", name, "", "", "", "", ""]
        table.rows.append(row + numbers)
    for outside in _clip_sets(arms):
        for arm in arms:
            clips = _name_of(arm, outside)
            if clips is None:
                continue
            numbers = [
                _over_folds(arm, partial(_mean_uncertainty, outside=outside, kind=kind))
                for kind in KINDS
            ]
            table.rows.append([clips, *_arm_cells(arm)[1:], *numbers])
    return table


def ood_table(arms: Sequence[Arm]) -> Table:
    """Tabulate how well each uncertainty distinguishes clips of other kinds from the data set's."""
    table = Table(
        "ood",
        "Out of distribution",
        "AUROC of distinguishing the set from the held-out clips, by each uncertainty; 0.5 is "
        "chance, also for a single network's epistemic uncertainty, which is always 0. " + _ACROSS,
        ["set of clips", *_ARM_HEADINGS, *KINDS],
    )
    for name in dict.fromkeys(name for arm in arms for name in _outside(arm)):
        for arm in arms:
            if name not in _outside(arm):
                continue
            numbers = [_over_folds(arm, partial(_auroc, name=name, kind=kind)) for kind in KINDS]
            table.rows.append([name, *_arm_cells(arm), *numbers])
    return table


def _arm_cells(arm: Arm) -> list[str]:
    cell = arm.cell
    done = str(len(arm.results))
    if len(arm.results) < arm.wanted:
        done += f" of {arm.wanted}"
    share = f"{100 * cell.fraction:g} %"
    return [cell.downstream, cell.upstream, cell.strategy, cell.mode, arm.options, share, done]


def _clip_sets(arms: Sequence[Arm]) -> list[str | None]:
    """List the sets of clips: `None` for the held-out one, then the names of the others."""
    return [None, *dict.fromkeys(name for arm in arms for name in _outside(arm))]


def _outside(arm: Arm) -> list[str]:
    return list(next(iter(arm.results.values())).summary["ood"])


def _name_of(arm: Arm, outside: str | None) -> str | None:
    if outside is None:
        return f"{arm.cell.downstream} (held out)"
    return f"{outside} (outside {arm.cell.downstream})" if outside in _outside(arm) else None


def _mean_uncertainty(result: StoredResults, outside: str | None, kind: str) -> float | None:
    name = result.place[1] if outside is None else outside
    found = result.uncertainty.get(name)
    return None if found is None else float(found[kind].mean())


def _auroc(result: StoredResults, name: str, kind: str) -> float | None:
    found = result.summary["ood"].get(name)
    return None if found is None else found["scores"][kind]["auroc"]["value"]


def _over_folds(arm: Arm, value: Callable[[StoredResults], float | None]) -> Number:
    values = arm.across(value)
    return Number(Interval(*crossed_interval(values)) if values.size else Interval(None))


def _present(names: Sequence[str], results: Collection[StoredResults]) -> list[str]:
    """Return the metrics that occur in any of the results."""
    return [name for name in names if any(name in x.summary["metrics"] for x in results)]


def _interval(document: dict | None) -> Interval:
    return Interval(None) if document is None else Interval(**document)
