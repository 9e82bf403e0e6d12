"""Reads all that travels with the package, in a process that has it from a wheel or a zip file.

Prints, as one JSON object, where the package is, and recipes and files of the models by name.
"""

import json
import pathlib

import vipann_tf
from vipann_tf.files.shipped import shipped_files, shipped_folder
from vipann_tf.published.labels import audioset_labels
from vipann_tf.recipes import PretrainRecipe, TransferRecipe, load_recipe
from vipann_tf.saved_model.metadata import read_labels, read_model_info, version_directory
from vipann_tf.study.recipe import StudyRecipe

KINDS = {"pretrain": PretrainRecipe, "transfer": TransferRecipe, "studies": StudyRecipe}


def contents() -> dict:
    names = [name for name, _ in shipped_files(shipped_folder("recipes"))]
    models = {name.split("/")[0] for name, _ in shipped_files(shipped_folder("saved_models"))}
    models.discard("README.md")
    return {
        "package": vipann_tf.__file__,
        "recipes": {
            name: load_recipe(KINDS[name.split("/")[0]], name).model_dump(mode="json")
            for name in names
        },
        "models": {
            model: {
                "architecture": read_model_info(model).architecture.summary,
                "labels": read_labels(f"saved_models/{model}"),
                "files": _sizes(version_directory(model)),
            }
            for model in models
        },
        "labels": audioset_labels(),
    }


def _sizes(folder: pathlib.Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


if __name__ == "__main__":
    print(json.dumps(contents()))
