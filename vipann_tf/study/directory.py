"""The paths and files of a study's directory. No TensorFlow in here.

OUT/study.json                 the resolved recipe
OUT/data/NAME/                 dataset directories
OUT/upstream/NAME/             model directories, each with its evaluation/
OUT/features/DATA/UPSTREAM.npz  features of the clips, for cells of mode active
OUT/cells/DATA/UPSTREAM/ARM/seed0-fold1/   the same; of mode active: ACQUISITION.json
OUT/records/STAGE/NAME/record.json   result of the last attempt, and why it failed
OUT/tables/, OUT/plots/, OUT/study.html    made from these at any time
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vipann_tf.errors import UserError
from vipann_tf.evaluation.result_files import METRICS_JSON
from vipann_tf.files import atomic, storage
from vipann_tf.files.paths import StrPath
from vipann_tf.records import schema
from vipann_tf.saved_model.metadata import version_directory
from vipann_tf.saved_model.versions import finished_versions
from vipann_tf.study.grid import ACTIVE, Cell
from vipann_tf.study.recipe import StudyRecipe

__all__ = [
    "STUDY_JSON",
    "Record",
    "StudyDirectory",
    "has_results",
    "open_study",
    "read_record",
    "write_record",
]

STUDY_JSON = "study.json"
RECORD_JSON = "record.json"


@dataclass(frozen=True)
class Record:
    """Result of the last attempt at a part of the study.

    Attributes:
      status: `finished`, `stopped` or `failed`.
      seconds: Its time, including earlier attempts that were stopped.
      reason: Why it failed.
      traceback: Traceback of an error other than a `UserError`.
    """

    status: str
    seconds: float
    reason: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class StudyDirectory:
    """A study and the paths of its parts.

    Attributes:
      recipe: The study.
      out: The directory.
    """

    recipe: StudyRecipe
    out: Path

    def dataset(self, name: str) -> str:
        """Return the directory of a data set: the recipe's, or one below OUT."""
        return self.recipe.datasets[name].directory or str(self.out / "data" / name)

    def upstream(self, name: str) -> Path:
        """Return the model directory of an upstream network."""
        model = self.recipe.upstream[name].model
        return Path(model) if model else self.out / "upstream" / name

    def upstream_evaluation(self, name: str) -> Path:
        """Return the results directory of an upstream network, existing ones included."""
        return self.out / "upstream" / name / "evaluation"

    def cell(self, cell: Cell) -> Path:
        """Return the model directory of a cell."""
        return self.out / "cells" / cell.name

    def cell_evaluation(self, cell: Cell) -> Path:
        """Return the results directory of a cell."""
        return self.cell(cell) / "evaluation"

    def features(self, data: str, upstream: str) -> Path:
        """Return the file of the features of a data set's clips, by an upstream network."""
        return self.out / "features" / data / f"{upstream}.npz"

    def curve(self, cell: Cell, acquisition: str) -> Path:
        """Return the file of a learning curve of a cell of mode active."""
        return self.cell(cell) / f"{acquisition}.json"

    def record(self, stage: str, name: str) -> Path:
        """Return the record file of a job."""
        return self.out / "records" / stage / name / RECORD_JSON

    def is_prepared(self, name: str) -> bool:
        """Return whether a data set is prepared."""
        return storage.size(storage.join(self.dataset(name), schema.INFO_FILE)) is not None

    def is_trained(self, name: str) -> bool:
        """Return whether an upstream network exists."""
        if self.recipe.upstream[name].model is None:
            return bool(finished_versions(self.upstream(name)))
        try:
            version_directory(self.upstream(name))  # a path, or the name of a shipped model
        except UserError:
            return False
        return True

    def is_finished(self, cell: Cell) -> bool:
        """Return whether a cell is finished."""
        if cell.mode == ACTIVE:
            wanted = self.recipe.active.acquisitions
            return all(self.curve(cell, acquisition).is_file() for acquisition in wanted)
        return bool(finished_versions(self.cell(cell))) and has_results(self.cell_evaluation(cell))


def open_study(recipe: StudyRecipe, out: StrPath) -> StudyDirectory:
    """Open the directory of a study; check that it holds no other study's data sets.

    Raises:
      UserError: A data set was prepared differently, or `out` is a file.
    """
    study = StudyDirectory(recipe, Path(out))
    if study.out.exists() and not study.out.is_dir():
        raise UserError(f"{out} is a file; choose a directory for --out")
    file = study.out / STUDY_JSON
    if file.is_file():
        before = StudyRecipe.model_validate_json(file.read_bytes())
        for name, dataset in recipe.datasets.items():
            old = before.datasets.get(name, dataset)
            if study.is_prepared(name) and old != dataset:
                raise UserError(
                    f"{study.dataset(name)} was prepared with other settings than those of "
                    f"data set {name} in the study; delete it, or choose another --out"
                )
    return study


def has_results(folder: Path) -> bool:
    """Return whether an evaluation exists; its directory is complete or absent."""
    return (folder / METRICS_JSON).is_file()


def read_record(file: Path) -> Record | None:
    """Read the record of the last attempt; `None` before the first."""
    try:
        return Record(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def write_record(file: Path, record: Record) -> None:
    """Write the record of an attempt."""
    atomic.write_text(file, json.dumps(asdict(record), indent=1) + "\n")
