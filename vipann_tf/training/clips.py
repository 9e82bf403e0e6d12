"""The clips that a model is trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from vipann_tf.files.paths import StrPath
from vipann_tf.recipes import TrainingRecipe
from vipann_tf.records.pipeline import evaluation_batches, training_batches
from vipann_tf.records.schema import DatasetInfo
from vipann_tf.records.subset import choose

# (epoch, index in the epoch) of the first clip -> an endless stream of batches from that clip.
Stream = Callable[[tuple[int, int]], tf.data.Dataset]
_ONCE_BATCH = 32


@dataclass(frozen=True)
class TrainingClips:
    """The clips that a model is trained on: all or some clips of some splits of a dataset.

    Attributes:
      data: Dataset directory.
      info: Content of the dataset.
      splits: Splits to train on.
      held_out: Splits to evaluate on later.
      ids: Ids of the clips; `None` for all clips of the splits.
      count: Number of clips.
    """

    data: StrPath
    info: DatasetInfo
    splits: list[str]
    held_out: list[str]
    ids: list[bytes] | None
    count: int

    def batches(
        self, recipe: TrainingRecipe, position: tuple[int, int], *, waveform: bool = True
    ) -> tf.data.Dataset:
        """Return the endless stream of training batches; see `training_batches`.

        Args:
          recipe: Batch size, seed of the order, balance and treatment of damaged records.
          position: Epoch and index of the first clip.
          waveform: Whether the batches hold the waveforms.
        """
        return training_batches(
            self.data,
            self.splits,
            batch_size=recipe.training.batch_size,
            seed=recipe.training.seed,
            position=position,
            balance=recipe.data.balance,
            only=self.ids,
            waveform=waveform,
            on_corrupt=recipe.data.on_corrupt,
        )

    def once(self, recipe: TrainingRecipe) -> tf.data.Dataset:
        """Return batches with every clip once; see `evaluation_batches`.

        Args:
          recipe: Treatment of damaged records.
        """
        return evaluation_batches(
            self.data, self.splits, _ONCE_BATCH, only=self.ids, on_corrupt=recipe.data.on_corrupt
        )


def training_clips(
    recipe: TrainingRecipe,
    data: StrPath,
    info: DatasetInfo,
    splits: list[str],
    held_out: Sequence[str] = (),
) -> TrainingClips:
    """Choose the share of the clips that a recipe asks for.

    Args:
      recipe: `data.fraction` is the share, `training.seed` the seed of the choice.
      data: Dataset directory.
      info: Content of the dataset.
      splits: Splits to train on.
      held_out: Splits to evaluate on later.

    Raises:
      UserError: A record is damaged, and the recipe does not skip it.
    """
    wanted = recipe.data
    ids = None
    if wanted.fraction < 1:
        ids = choose(data, splits, wanted.fraction, recipe.training.seed, wanted.on_corrupt)
    return TrainingClips(
        data=data,
        info=info,
        splits=splits,
        held_out=list(held_out),
        ids=ids,
        count=info.count(splits) if ids is None else len(ids),
    )
