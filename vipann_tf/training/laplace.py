"""The Laplace posterior of the last layer of a trained deterministic network."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.choices import LaplacePrecision
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.head import Head
from vipann_tf.models.loss import negative_log_likelihood, probabilities
from vipann_tf.models.vipann import VIPANN
from vipann_tf.recipes import PretrainRecipe, TrainingRecipe, TransferRecipe
from vipann_tf.records.reading import damage_as_user_error
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.saved_model.export import check_vacant, default_draw_storage, export
from vipann_tf.saved_model.metadata import ModelInfo, single_network
from vipann_tf.saved_model.stored_calibration import Calibration
from vipann_tf.training.clips import TrainingClips, training_clips
from vipann_tf.uncertainty.laplace import (
    PRECISIONS,
    CurvatureSums,
    KroneckerCurvature,
    best_precision,
    weights_precision,
)

# Called with the number of clips done and their total.
OnClips = Callable[[int, int], None]


def with_laplace_head(
    model: VIPANN,
    clips: TrainingClips,
    recipe: TrainingRecipe,
    on_progress: OnClips | None = None,
) -> tuple[VIPANN, dict[str, Any]]:
    """Give the last layer of a trained network a Laplace posterior.

    The network is linear in these weights, so draws of them need no linearisation. The precision of
    the prior is chosen as the recipe says: by the evidence (MacKay 1992; Daxberger et al., arXiv
    2106.14806, section 3.4), by the size of the weights, or as a number. The likelihood is that of
    the clips as they are, without augmentation.

    Args:
      model: Deterministic network; it is not changed.
      clips: The clips that it was trained on.
      recipe: `variational.laplace_precision`, and treatment of damaged records.
      on_progress: Called after every batch.

    Returns:
      A network in float32 with the same weights and a Laplace head; and, for the metadata of the
      model, `laplace_precision` (of the prior), `laplace_log_evidence` (in nats), `laplace_clips`
      and, if the precision is at the end of its range, `laplace_warning`.
    """
    described = {**model.architecture.model_dump(), "head": "laplace"}
    network = VIPANN(Architecture(**described))
    network.assign(model.named_variables(), partial=True)

    def batches() -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        done = 0
        with damage_as_user_error():
            for batch in clips.once(recipe):
                yield (
                    network.compiled_network.until("embedding", batch["waveform"]),
                    batch["labels"],
                )
                done += len(batch["labels"])
                if on_progress is not None:
                    on_progress(done, clips.count)

    return network, fit_laplace(network, batches(), recipe.variational.laplace_precision)


def fit_laplace(
    network: VIPANN | Head,
    batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
    precision: float | LaplacePrecision,
) -> dict[str, Any]:
    """Give a Laplace head the posterior around its weights.

    Args:
      network: The network, or its head alone, whose last layer has the trained weights.
      batches: Every training clip once: embeddings [batch, size] and labels [batch, labels].
      precision: Of the prior, as in `with_laplace_head`.

    Returns:
      What `with_laplace_head` adds to the metadata.
    """
    head, task = network.network.layers[-1], network.architecture.task
    rows, outputs = head.stddev.shape
    sums = CurvatureSums(np.zeros([rows, rows]), np.zeros([outputs, outputs]), 0)
    nll = 0.0
    for embedding, labels in batches:
        logits = network.run(embedding, start="embedding")
        nll += float(tf.reduce_sum(negative_log_likelihood(logits, labels, task)))
        # The bias is the weight of an input that is always 1.
        features = np.pad(embedding, [(0, 0), (0, 1)], constant_values=1.0)
        sums += CurvatureSums.of(features, probabilities(logits, task), task)
    factors = sums.factors()
    mean = np.vstack([head.kernel, head.bias]).astype(np.float64)
    chosen = _precision(factors, mean, precision)
    head.set_posterior(factors.posterior(mean, chosen))
    found: dict[str, Any] = {
        "laplace_precision": chosen,
        "laplace_log_evidence": factors.log_evidence(nll, mean, chosen),
        "laplace_clips": sums.count,
    }
    if isinstance(precision, str) and (warning := precision_warning(chosen)):
        found["laplace_warning"] = warning
    return found


def _precision(
    factors: KroneckerCurvature, mean: npt.NDArray[np.float64], wanted: float | LaplacePrecision
) -> float:
    if wanted == "evidence":
        return best_precision(factors, mean)
    return weights_precision(mean) if wanted == "weights" else wanted


def precision_warning(precision: float) -> str | None:
    """Return what to say of a precision at the end of its range, `None` within it."""
    lowest, highest = PRECISIONS
    # The search comes close to an end and does not reach it.
    if precision < 1.01 * lowest:
        return (
            f"the precision of the prior is the lowest of its range, {lowest:g}: the clips hardly "
            "determine the last layer, and its draws are too wide to be of use; give a number"
        )
    if precision > highest / 1.01:
        return (
            f"the precision of the prior is the highest of its range, {highest:g}: the last layer "
            "is nearly 0, so the network was hardly trained, and its draws hardly differ"
        )
    return None


def add_laplace_head(
    model: StrPath,
    data: StrPath,
    out: StrPath,
    *,
    num_draws: int | None = None,
    precision: float | LaplacePrecision | None = None,
    overwrite: bool = False,
    on_progress: OnClips | None = None,
) -> Path:
    """Write a model with a Laplace head from a deterministic one, without training it again.

    Of a model of strategy det, the result is that of strategy det-laplace. Its calibration and its
    metrics are left out, since they are those of the deterministic model.

    Args:
      model: Model directory of a deterministic network.
      data: The dataset directory that it was trained on. The clips are those of its training; of an
        imported model, those of the split `train`.
      out: Model directory to make.
      num_draws: Number of draws of `serving_default`; by default that of the model.
      precision: Precision of the prior, `variational.laplace_precision`; by default that of the
        model's recipe.
      overwrite: Whether to replace a model.
      on_progress: Called after every batch.

    Returns:
      The version folder.

    Raises:
      UserError: The precision is not above 0, the network is not deterministic, the data set is
        not that of its training, or a model exists and `overwrite` is false.
    """
    if isinstance(precision, float | int) and not 0 < precision < math.inf:
        raise UserError(
            f"the precision of the prior is {precision:g}; use evidence, weights or a number "
            "above 0"
        )
    check_vacant(out, overwrite=overwrite)
    tested = ModelUnderTest.open(model, num_draws=num_draws)
    info = tested.info
    architecture = single_network(info, model)
    if architecture.stochastic:
        raise UserError(
            f"{model} has a {architecture.trunk} trunk and a {architecture.head} head; "
            "a Laplace posterior is that of a deterministic network, as transfer --strategy det "
            "makes it"
        )
    recipe = _recipe_of(info, precision)
    clips = _clips_of(tested, tested.check(data), data, recipe)
    assert isinstance(tested.network, VIPANN)  # as `single_network` has checked
    network, found = with_laplace_head(tested.network, clips, recipe, on_progress)
    info = info.model_copy(
        update={
            "architecture": network.architecture,
            "num_draws": tested.num_draws,
            "draw_storage": default_draw_storage(network.architecture, tested.num_draws),
            "recipe": recipe.model_dump(mode="json") if info.recipe else {},
            "training": {**info.training, **found},
            "calibration": Calibration(),
            "metrics": {},
        }
    )
    return export(network, out, info, tested.labels, overwrite=overwrite)


def _recipe_of(info: ModelInfo, precision: float | LaplacePrecision | None) -> TrainingRecipe:
    """Return the recipe of a model with a Laplace head instead."""
    kinds: dict[str, type[TrainingRecipe]] = {
        "transfer": TransferRecipe,
        "pretrain": PretrainRecipe,
    }
    recipe = kinds.get(info.origin, TrainingRecipe).model_validate(info.recipe)
    changes: dict[str, Any] = {}
    if precision is not None:
        variational = recipe.variational.model_copy(update={"laplace_precision": precision})
        changes["variational"] = variational
    if isinstance(recipe, TransferRecipe) and recipe.strategy == "det":
        changes["strategy"] = "det-laplace"
    return recipe.model_copy(update=changes)


def _clips_of(
    tested: ModelUnderTest, dataset: DatasetInfo, data: StrPath, recipe: TrainingRecipe
) -> TrainingClips:
    """Return the clips that a model was trained on.

    Raises:
      UserError: The data set is another one, or has other clips.
    """
    trained = tested.info.data
    if trained is None:
        return training_clips(recipe, data, dataset, dataset.check_splits(["train"]))
    if trained.dataset != dataset.name:
        raise UserError(
            f"{tested.path} was trained on {trained.dataset}, but {data} is {dataset.name}; a "
            "Laplace posterior is that of the clips that trained the model"
        )
    splits = dataset.check_splits(trained.splits)
    clips = training_clips(recipe, data, dataset, splits, trained.held_out)
    if clips.count != trained.clips:
        raise UserError(
            f"{tested.path} was trained on {trained.clips} clips of {', '.join(splits)}, but "
            f"{data} has {clips.count} there; use the data set as it was then"
        )
    return clips
