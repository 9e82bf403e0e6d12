"""The smallest trainings: networks of depth 22 and width 1/16, clips of one second, a few steps."""

import contextlib
import csv
import pathlib

import tensorflow as tf

from vipann_tf.recipe import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model.load import read_variables
from vipann_tf.saved_model.metadata import write_metadata
from vipann_tf.training import pretrain, transfer

KINDS = ("deterministic", "dropout", "flipout")
NETWORK = ("model.depth=22", "model.width=0.0625")
SHORT = ("training.steps=2", "training.batch_size=4", "export.samples=2")


def pretrain_recipe(kind: str, *settings: str, path=None) -> PretrainRecipe:
    return load_recipe(
        PretrainRecipe, path, [f"model.kind={kind}", *NETWORK, *SHORT, *settings]
    )


def transfer_recipe(strategy: str, mode: str, *settings: str, path=None) -> TransferRecipe:
    chosen = [f"strategy={strategy}", f"mode={mode}"]
    return load_recipe(TransferRecipe, path, [*chosen, *SHORT, *settings])


def light_export(model, directory, info, labels, *, overwrite=False) -> pathlib.Path:
    """Stands in for `export`: all of a model directory but the SavedModel's graph, which takes
    longer to write than these trainings."""
    version = pathlib.Path(directory) / "1"
    version.mkdir(parents=True, exist_ok=True)
    named = model.named_variables()
    write_metadata(version, info.model_copy(update={"variables": list(named)}), labels)
    values = tf.train.Checkpoint(network_variables=list(named.values()))
    values.write(str(version / "variables" / "variables"))
    (version / "saved_model.pb").touch()
    return version


def same_weights(one, other) -> bool:
    """Whether two model directories hold the same variables, bit for bit."""
    first, second = read_variables(one), read_variables(other)
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


def log_bytes(model) -> bytes:
    """The log of a finished training."""
    return (pathlib.Path(model) / "1" / "assets.extra" / "training_log.csv").read_bytes()


def log_rows(model) -> list[dict[str, float]]:
    lines = log_bytes(model).decode().splitlines()
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


@contextlib.contextmanager
def eagerly(monkeypatch):
    """Runs steps without tracing them, which takes longer than a few steps of a tiny network; and
    exports without tracing, too."""
    monkeypatch.setattr(pretrain, "export", light_export)
    monkeypatch.setattr(transfer, "export", light_export)
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
