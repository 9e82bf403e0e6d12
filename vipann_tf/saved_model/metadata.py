"""The metadata of a model directory: `assets.extra/vipann.json` and `assets/labels.csv`.

This module does not import TensorFlow, so that `vipann-tf info` is fast.
"""

import csv
import json
from pathlib import Path
from typing import Any, Literal

import pydantic

from vipann_tf import __version__
from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath
from vipann_tf.files.shipped import find_shipped, local_copy, shipped_files, shipped_folder
from vipann_tf.former_names import with_present_names
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.ensemble_architecture import EnsembleArchitecture
from vipann_tf.saved_model.stored_calibration import Calibration

MIN_SECONDS = 1.0  # the shortest waveform that an exported model takes
MAX_DRAWS = 1000  # the most draws that one request can ask for
LABELS_CSV = Path("assets") / "labels.csv"
METADATA_JSON = Path("assets.extra") / "vipann.json"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MODEL_CARD = Path("README.md")
PER_LABEL = "per_label"  # the key of the scores of each label in an evaluation's metrics
SAVED_MODEL_PB = "saved_model.pb"
STATUS = "status"  # output of `wav`: why a file has no answer, empty if it has one

DrawStorage = Literal["sampled", "stored"]
BatchNormStatistics = Literal["stored", "draw"]
Precision = Literal["float32", "bfloat16"]


class TrainingData(pydantic.BaseModel):
    """The clips that a model was trained on."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    dataset: str
    splits: list[str]
    held_out: list[str] = []
    clips: int
    time_expansion: float = 1.0


class ModelInfo(pydantic.BaseModel):
    """The metadata of a model: its construction, origin and evaluation.

    Attributes:
      schema_version: Version of the file's format.
      created_by: Package and version that wrote the file.
      origin: How the network was made: `pretrain`, `transfer`, `import`, `ensemble`, or `keras` by
        code of the user.
      architecture: The network, or the networks of an ensemble.
      sample_rate_hz: Sample rate of its waveforms.
      clip_seconds: Length of the training clips.
      num_draws, seed: Number of draws and seed of `serving_default`.
      draw_storage: Whether those draws are `sampled` in each request or `stored` in the SavedModel.
      batch_norm: Whether a draw uses the `stored` statistics of BatchNorm, or those of the `draw`,
        which are in the SavedModel. With the latter no other draws can be asked for.
      precision: Precision of the SavedModel's computation.
      fixed_seconds: The only length of waveform that the SavedModel accepts; `None` for any.
      calibration: Calibration of the logits of every draw.
      variables: Names of the stored variables, in order.
      data: Training data; `None` for imported weights, or if an ensemble's members were trained on
        different data sets.
      members: Of an ensemble: origin, data, base, recipe and training of every member.
      base: Architecture, origin and data of the model that was transferred.
      recipe: The resolved recipe, with strategy and mode for a transfer.
      training: Outcome of training: steps, seconds, last losses.
      metrics: Evaluations by `<dataset>/<split>`: name -> number, or `{"value", "low", "high"}`;
        `per_label` is a list of the scores of each label.
      licence: Licence of the weights, if known.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    created_by: str = f"vipann-tf {__version__}"
    origin: Literal["pretrain", "transfer", "import", "ensemble", "keras"]
    architecture: Architecture | EnsembleArchitecture
    sample_rate_hz: int
    clip_seconds: float
    num_draws: int
    seed: int
    draw_storage: DrawStorage = "sampled"
    batch_norm: BatchNormStatistics = "stored"
    precision: Precision = "float32"
    fixed_seconds: float | None = None
    calibration: Calibration = Calibration()
    variables: list[str]
    data: TrainingData | None = None
    members: list[dict[str, Any]] = []
    base: dict[str, Any] | None = None
    recipe: dict[str, Any] = {}
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    licence: str | None = None

    @property
    def least_seconds(self) -> float:
        """Length to which shorter waveforms are padded before the network hears them."""
        return self.fixed_seconds or MIN_SECONDS

    @property
    def time_expansion(self) -> float:
        """How many times recordings are slowed down before the model hears them."""
        return self.data.time_expansion if self.data else 1.0

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, values: Any) -> Any:
        return with_present_names(values, {"samples": "num_draws", "draws": "draw_storage"})


def check_draws(info: ModelInfo, num_draws: int, seed: int, name: StrPath) -> None:
    """Raise a `UserError` if a model cannot make these draws, or would weight its members wrongly.

    Args:
      info: Metadata of the model.
      num_draws: Number of draws asked for.
      seed: Seed asked for.
      name: The model in the message.
    """
    if info.batch_norm == "draw" and (num_draws > info.num_draws or seed != info.seed):
        raise UserError(
            f"{num_draws} draws of seed {seed} were asked for, but {name} has BatchNorm statistics "
            f"of {info.num_draws} draws of seed {info.seed}; ask for those, or export the model "
            "again with --statistics-data"
        )
    network = info.architecture
    if isinstance(network, EnsembleArchitecture) and network.bayesian:
        check_rounds(network, num_draws)


def check_rounds(network: EnsembleArchitecture, num_draws: int) -> None:
    """Raise a `UserError` if the members of an ensemble would not draw as their weights say."""
    if num_draws % network.round_size:
        raise UserError(
            f"num_draws is {num_draws}, but the ensemble has {network.round_size} draws per round; "
            f"use a multiple of {network.round_size}, so that each member counts by its weight"
        )


def single_network(info: ModelInfo, name: StrPath) -> Architecture:
    """Return the architecture of a model that is one network.

    Raises:
      UserError: It is an ensemble.
    """
    if isinstance(info.architecture, EnsembleArchitecture):
        raise UserError(
            f"{name} is an ensemble of {len(info.architecture.members)} networks, and one network "
            "is needed; give the model directory of a member"
        )
    return info.architecture


def version_directory(path: StrPath) -> Path:
    """Return the version folder of a model: `path` itself, or its highest numbered child.

    If there is no such path, it may be the name of a model that travels with the package.

    Raises:
      UserError: There is no such directory, or it has no SavedModel.
    """
    path = Path(path)
    if not path.is_dir():
        path = _shipped_model(path)
    if (path / SAVED_MODEL_PB).is_file():
        return path
    versions = [
        child
        for child in path.iterdir()
        if child.name.isdecimal() and (child / SAVED_MODEL_PB).is_file()
    ]
    if not versions:
        hint = "; its training has not finished" if (path / "training").is_dir() else ""
        raise UserError(
            f"no model at {path}: it has neither {SAVED_MODEL_PB} nor a version folder such as 1/"
            f"{hint}"
        )
    return max(versions, key=lambda child: int(child.name))


def _shipped_model(path: Path) -> Path:
    found = None if path.exists() else find_shipped("saved_models", str(path))
    if found is not None and found.is_dir():
        return local_copy(found)
    files = (name for name, _ in shipped_files(shipped_folder("saved_models")))
    names = dict.fromkeys(name.partition("/")[0] for name in files if name.endswith(SAVED_MODEL_PB))
    raise UserError(
        f"no model at {path}: there is no such directory, and the shipped models are"
        f" {', '.join(names)}"
    )


def read_model_info(path: StrPath) -> ModelInfo:
    """Read the metadata of the model at `path` (NAME or NAME/1).

    Raises:
      UserError: It is not a model directory of this package, or has an unknown format.
    """
    file = version_directory(path) / METADATA_JSON
    try:
        return ModelInfo.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is missing: {path} is a SavedModel that vipann-tf did not write"
        ) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{file} can't be read ({'.'.join(map(str, first['loc']))}: {first['msg']}): "
            f"this is {ModelInfo.model_fields['created_by'].default}; was it written by a newer "
            "one?"
        ) from error


def read_labels(path: StrPath) -> list[str]:
    """Return the label names of the model at `path`, in the order of its outputs."""
    with open(version_directory(path) / LABELS_CSV, newline="", encoding="utf-8") as lines:
        return [row["name"] for row in csv.DictReader(lines)]


def write_metadata(directory: Path, info: ModelInfo, labels: list[str]) -> None:
    """Write labels.csv and vipann.json into a version folder."""
    for file in (LABELS_CSV, METADATA_JSON):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
    with open(directory / LABELS_CSV, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["index", "name"])
        writer.writerows(enumerate(labels))
    text = json.dumps(info.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (directory / METADATA_JSON).write_text(text + "\n", encoding="utf-8")
