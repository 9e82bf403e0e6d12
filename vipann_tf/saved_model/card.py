"""The model card, README.md of a version folder, written from its metadata.

The sections follow Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv 1810.03993),
section 4.
"""

from typing import Any

import yaml

from vipann_tf.saved_model.metadata import MIN_SECONDS, PER_LABEL, ModelInfo

# Largest number of labels named in a card; assets/labels.csv has all.
_LABELS_SHOWN = 20


def model_card(info: ModelInfo, labels: list[str], *, name: str) -> str:
    """Return the Markdown text of a model's card.

    Args:
      info: The model.
      labels: Label names in the order of the outputs.
      name: Name of the model directory.
    """
    sections = {
        f"# {name}": _summary(info, labels),
        "## Data": _data(info),
        "## Recipe": _recipe(info),
        "## Metrics": _metrics(info.metrics),
        "## Limits": _limits(info),
        "## Licence": _licence(info),
        "## How to ask it": _how_to_ask(info, name),
    }
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items()) + "\n"


def _summary(info: ModelInfo, labels: list[str]) -> str:
    network = info.architecture
    shown = ", ".join(labels[:_LABELS_SHOWN])
    more = f" and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    kind = "one label per clip" if network.task == "multiclass" else "any number of labels per clip"
    draws = (
        "one network"
        if not network.stochastic
        else f"{info.num_draws} networks of seed {info.seed}"
    )
    how = "kept in the SavedModel" if info.draw_storage == "stored" else "drawn in each request"
    return (
        f"{network.summary[:1].upper()}{network.summary[1:]}; from {info.origin}, by "
        f"{info.created_by}.\n"
        f"It gives {kind} out of {len(labels)}: {shown}{more}.\n"
        f"`serving_default` answers by {draws}"
        + (f", {how}" if network.stochastic else "")
        + (", each with BatchNorm statistics of its own" if info.batch_norm == "draw" else "")
        + f", computed in {info.precision}, with temperature {info.calibration.temperature:g}."
        + _thresholds(info)
    )


def _thresholds(info: ModelInfo) -> str:
    stored = info.calibration.detection
    if stored is None:
        return ""
    where = ", ".join(info.calibration.fitted_on)
    rarer = (
        " It is lower where sounds are rarer than there." if stored.measure == "precision" else ""
    )
    return f"\nIt has thresholds of detections, from {where}: {stored.summary}.{rarer}"


def _data(info: ModelInfo) -> str:
    if info.data is None:
        text = "Not known: the weights were imported."
    else:
        held = f", with {', '.join(info.data.held_out)} held out" if info.data.held_out else ""
        text = (
            f"Trained on {info.data.dataset}: {info.data.clips} clips of {info.clip_seconds:g} s, "
            f"splits {', '.join(info.data.splits)}{held}."
        )
    base = (info.base or {}).get("data")
    if base:
        text += f"\nIts base was trained on {base['dataset']}: {base['clips']} clips."
    elif info.base:
        text += "\nIts base was imported; see its publisher for its training data."
    return text


def _recipe(info: ModelInfo) -> str:
    text = f"```yaml\n{yaml.safe_dump(info.recipe, sort_keys=False).strip()}\n```"
    if info.training:
        outcome = ", ".join(f"{name} {_number(value)}" for name, value in info.training.items())
        text += f"\n\nOutcome of training: {outcome}."
    return text


def _metrics(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "None recorded. `vipann-tf evaluate MODEL --data DIR --out DIR` measures them."
    lines = ["| on | metric | value | 95 % interval |", "| --- | --- | --- | --- |"]
    for split, values in metrics.items():
        for name, value in values.items():
            if name == PER_LABEL:
                continue
            interval = ""
            if isinstance(value, dict):
                if value.get("low") is not None:
                    interval = f"{_number(value['low'])} to {_number(value['high'])}"
                value = value.get("value")
            lines.append(f"| {split} | {name} | {_number(value)} | {interval} |")
    tables = [
        _label_scores(split, values[PER_LABEL])
        for split, values in metrics.items()
        if PER_LABEL in values
    ]
    return "\n\n".join(["\n".join(lines), *tables])


def _label_scores(split: str, rows: list[dict[str, Any]]) -> str:
    """Return the scores of each label as a table, with the interval of those that have one."""
    shown = [x for x in rows[0] if x != "label" and not x.endswith(("_low", "_high"))]
    lines = [
        f"Each label on {split}; a score of few clips means little, and - is not defined:",
        "",
        "| " + " | ".join(["label", *(name.replace("_", " ") for name in shown)]) + " |",
        "| " + " | ".join(["---"] * (1 + len(shown))) + " |",
    ]
    for row in rows:
        cells = [_label_score(row, name) for name in shown]
        lines.append("| " + " | ".join([row["label"].replace("|", "\\|"), *cells]) + " |")
    return "\n".join(lines)


def _label_score(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    ends = "" if low is None else f" ({_number(low)} to {_number(high)})"
    return _number(row[name]) + ends


def _limits(info: ModelInfo) -> str:
    length = (
        f"exactly {info.fixed_seconds:g} s" if info.fixed_seconds else f"{MIN_SECONDS:g} s or more"
    )
    lines = [
        f"It takes mono sound at {info.sample_rate_hz} Hz, {length}; it was trained on clips of "
        f"{info.clip_seconds:g} s and may be less accurate on much longer ones.",
        "It knows only its labels: a sound of another kind still gets one of them. A high "
        "epistemic uncertainty is a hint of such a sound; a low one does not exclude it.",
    ]
    if len(info.architecture.draw_indices(2)) == 1:
        lines.append("It is a single network, so its epistemic uncertainty is always 0.")
    if info.calibration.temperature == 1.0:
        lines.append("Its probabilities were not calibrated after training.")
    return "\n".join(f"- {line}" for line in lines)


def _licence(info: ModelInfo) -> str:
    if info.licence:
        return f"The weights: {info.licence}"
    dataset = info.data.dataset if info.data else "the published weights"
    return (
        "The program that made it is under the MIT licence. The licence of the training data may "
        f"apply to the weights: see the licence of {dataset}."
    )


def _how_to_ask(info: ModelInfo, name: str) -> str:
    wav = (
        "\nA WAV file, by the signature `wav`, whose output `status` says why a file has no answer:"
        "\n\n"
        "```\n"
        'echo "{\\"signature_name\\": \\"wav\\", \\"instances\\": [{\\"wav\\": {\\"b64\\": '
        '\\"$(base64 -w0 some.wav)\\"}}]}" \\\n'
        f"  | curl -d @- localhost:8501/v1/models/{name}:predict\n"
        "```\n"
    )
    listen = ""
    if (stored := info.calibration.detection) is not None:
        window_s = stored.clip_seconds / info.time_expansion
        listen = f"vipann-tf predict {name} long.wav --window {window_s:g} --threshold calibrated\n"
    return (
        f"```\nvipann-tf predict {name} some.wav\n{listen}```\n\n"
        "TensorFlow Serving takes the directory as it is. Signatures: `serving_default`, "
        "`monte_carlo`, `embed`, `posterior_mean`, `wav`; label names in `assets/labels.csv`.\n"
        + wav
    ).rstrip()


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
