"""The smallest trainings: networks of depth 22 and width 1/16, clips of one second, a few steps."""

import contextlib
import csv
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from tests.helpers.light_model import light_version
from vipann_tf.models.architecture import STAGE_BLOCKS
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model import ensembling, reexport
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.versions import finished_versions
from vipann_tf.training import fit, laplace, transfer
from vipann_tf.training.loop import Loop

KINDS = ("deterministic", "dropout", "flipout")
NETWORK = ("model.depth=22", "model.width=0.0625")
# So few clips do not have every label.
FEW_CLIPS = "data.allow_empty_labels=true"
SHORT = ("training.steps=2", "training.batch_size=4", "export.num_draws=2", FEW_CLIPS)


def pretrain_recipe(kind: str, *settings: str, path=None) -> PretrainRecipe:
    return load_recipe(PretrainRecipe, path, [f"model.kind={kind}", *NETWORK, *SHORT, *settings])


def transfer_recipe(strategy: str, mode: str, *settings: str, path=None) -> TransferRecipe:
    chosen = [f"strategy={strategy}", f"mode={mode}"]
    return load_recipe(TransferRecipe, path, [*chosen, *SHORT, *settings])


def light_export(model, directory, info, labels, *, overwrite=False, extras=None) -> pathlib.Path:
    """Write all of a model directory but the graph of the SavedModel, in place of `export`.

    Writing the graph takes longer than these trainings.
    """
    old = finished_versions(directory)
    version = light_version(model, directory, info, labels)
    for name, source in (extras or {}).items():
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, version / "assets.extra" / name)
    for folder in old:
        shutil.rmtree(folder)
    return version


def same_weights(one, other) -> bool:
    """Return whether two model directories hold the same variables, bit for bit."""
    first, second = read_variables(one), read_variables(other)
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


def log_bytes(model) -> bytes:
    """Return the log of a finished training."""
    return (pathlib.Path(model) / "1" / "assets.extra" / "training_log.csv").read_bytes()


def log_rows(model) -> list[dict[str, float]]:
    lines = log_bytes(model).decode().splitlines()
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def export_without_graph(monkeypatch) -> None:
    """Make trainings export by `light_export`."""
    monkeypatch.setattr(fit, "export", light_export)
    monkeypatch.setattr(laplace, "export", light_export)
    monkeypatch.setattr(ensembling, "export", light_export)
    monkeypatch.setattr(reexport, "add_version", light_version)


@contextlib.contextmanager
def eagerly(monkeypatch):
    """Run steps without tracing them, and export without tracing, too.

    Tracing takes longer than a few steps of a tiny network.
    """
    export_without_graph(monkeypatch)
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def cheapest_run(bases, events, out, *settings, **options):
    """Train a head on pooled features, four steps, with a checkpoint after each."""
    recipe = transfer_recipe(
        "det-flip", "fixed", "training.steps=4", "training.checkpoint_every_steps=1", *settings
    )
    transfer.transfer(recipe, bases["deterministic"], events, out, test_fold=1, **options)
    return out


def shallow(set_item) -> None:
    """Build networks of one residual block: the others would repeat it.

    Args:
      set_item: `MonkeyPatch.setitem`, or what does as it.
    """
    set_item(STAGE_BLOCKS, 22, (0, 0, 0, 1))


def stand_ins(set_attribute) -> None:
    """Export without a graph, and write the gradients of the first step to NAME/gradients.npz.

    Args:
      set_attribute: `MonkeyPatch.setattr`, or what does as it.
    """
    train = Loop.train

    def train_and_tell(loop):
        show = loop.on_progress

        def progress(seen):
            if seen.step == 1 and loop.run.writes:
                # Adam's first moment after one step is a tenth of its gradient.
                values = [10 * moment.numpy() for moment in loop.model.optimizer._momentums]
                names = [variable.name for variable in loop.model.trainable_variables]
                np.savez(
                    loop.run.folder.parent / "gradients.npz",
                    **dict(zip(names, values, strict=True)),
                )
            if show is not None:
                show(seen)

        loop.on_progress = progress
        return train(loop)

    set_attribute(Loop, "train", train_and_tell)
    set_attribute(fit, "export", light_export)
