"""BatchNorm statistics of each draw of a model, estimated on clips that it was trained on."""

from collections.abc import Sequence

import tensorflow as tf

from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.files.paths import StrPath
from vipann_tf.models.architecture import Signs
from vipann_tf.models.draw_statistics import DrawStatistics, estimate_statistics
from vipann_tf.models.vipann import VIPANN
from vipann_tf.records.pipeline import evaluation_batches
from vipann_tf.records.subset import choose
from vipann_tf.saved_model.metadata import single_network
from vipann_tf.saved_model.reexport import with_signs

__all__ = ["draw_statistics", "statistics_on"]

# As many as were enough in a trial; they are held as features, all at once.
CLIPS = 160
BATCH = 32
LEAST_CLIPS = 8


def draw_statistics(
    model: StrPath,
    data: StrPath,
    *,
    num_draws: int | None = None,
    seed: int | None = None,
    signs: Signs | None = None,
) -> DrawStatistics:
    """Estimate the BatchNorm statistics of a model's draws.

    At most `CLIPS` clips are used, chosen by the seed among those that the model was trained on; of
    another data set, among those of its split `train`.

    Args:
      model: Model directory; its trunk must be random.
      data: Dataset directory with the model's sample rate.
      num_draws: Number of draws; by default that of the export.
      seed: Seed of the draws; by default that of the export.
      signs: Where Flipout convolutions draw their signs; by default as in the model.

    Raises:
      UserError: The trunk is deterministic, or the data set does not fit.
    """
    tested = ModelUnderTest.open(model)
    info = tested.info
    num_draws = info.num_draws if num_draws is None else num_draws
    seed = info.seed if seed is None else seed
    architecture = single_network(info, model)
    if architecture.trunk == "deterministic":
        raise UserError(
            f"the trunk of {model} is deterministic: its BatchNorm statistics are those of every "
            "draw; leave --statistics-data out"
        )
    assert isinstance(tested.network, VIPANN)  # as its metadata say
    network = tested.network.twin(architecture=with_signs(architecture, signs, model))
    network.draw_statistics = None
    dataset = tested.check(data, any_labels=True)
    own = info.data is not None and info.data.dataset == dataset.name
    splits = dataset.check_splits(info.data.splits if own and info.data else ["train"])
    share = min(CLIPS / max(dataset.count(splits), 1), 1.0)
    order = seed
    if own and (fraction := info.recipe.get("data", {}).get("fraction", 1.0)) < 1:
        # A smaller share is a part of the share that the model was trained on.
        share, order = share * fraction, info.recipe["training"]["seed"]
    chosen = choose(data, splits, share, order, "stop")
    return statistics_on(network, data, splits, chosen, num_draws=num_draws, seed=seed)


def statistics_on(
    network: VIPANN,
    data: StrPath,
    splits: Sequence[str],
    clips: Sequence[bytes],
    *,
    num_draws: int,
    seed: int,
) -> DrawStatistics:
    """Estimate the BatchNorm statistics of a network's draws on some clips.

    Args:
      network: The network; its trunk must be random.
      data: Dataset directory.
      splits: Splits that have the clips.
      clips: Ids of the clips.
      num_draws: Number of draws.
      seed: Seed of the draws.

    Raises:
      UserError: There are too few clips.
    """
    if len(clips) < LEAST_CLIPS:
        raise UserError(
            f"BatchNorm statistics of draws need {LEAST_CLIPS} clips or more; {data} has "
            f"{len(clips)} in {', '.join(splits)}"
        )
    until = network.compiled_network.until
    batches = evaluation_batches(data, splits, BATCH, only=clips)
    shared = tf.concat([until("shared", batch["waveform"]) for batch in batches], 0)
    # All batches count alike, so they have as many clips; fewer than one per batch are left out.
    count = max(len(shared) // BATCH, 1)
    size = len(shared) // count
    whole = [shared[i * size : (i + 1) * size] for i in range(count)]
    return estimate_statistics(network, whole, num_draws=num_draws, seed=seed)
