"""The augmentations of a recipe, as the functions that `VIPANN.train_step` calls."""

import tensorflow as tf

from vipann_tf.audio import augment
from vipann_tf.models.randomness import TrainingNoise
from vipann_tf.models.training_step import Augmentation
from vipann_tf.recipes import Augment


def on_waveform(recipe: Augment, sample_rate_hz: int) -> Augmentation | None:
    """Return the augmentation before the front end, random shift and gain; `None` for neither.

    Args:
      recipe: Augmentations.
      sample_rate_hz: Sample rate of the waveforms.
    """
    if not (recipe.time_shift_s or recipe.gain_db):
        return None

    def change(
        waveform: tf.Tensor, labels: tf.Tensor, noise: TrainingNoise
    ) -> tuple[tf.Tensor, tf.Tensor]:
        offset = noise.example_offset
        if recipe.time_shift_s:
            seed = noise.layer_seed("time_shift")
            shift = int(recipe.time_shift_s * sample_rate_hz)
            waveform = augment.time_shift(waveform, seed, shift, example_offset=offset)
        if recipe.gain_db:
            seed = noise.layer_seed("gain")
            waveform = augment.random_gain(waveform, seed, recipe.gain_db, example_offset=offset)
        return waveform, labels

    return change


def on_log_mel(recipe: Augment) -> Augmentation | None:
    """Return the augmentation after the front end, SpecAugment and mixup; `None` for neither."""
    if not (recipe.spec_augment or recipe.mixup_alpha):
        return None

    def change(
        log_mel: tf.Tensor, labels: tf.Tensor, noise: TrainingNoise
    ) -> tuple[tf.Tensor, tf.Tensor]:
        offset = noise.example_offset
        if recipe.spec_augment:
            seed = noise.layer_seed("spec_augment")
            log_mel = augment.spec_augment(log_mel, seed, example_offset=offset)
        if recipe.mixup_alpha:
            seed = noise.layer_seed("mixup")
            log_mel, labels = augment.mixup(
                log_mel, labels, seed, recipe.mixup_alpha, example_offset=offset
            )
        return log_mel, labels

    return change
