"""Recipe files: YAML with overrides becomes a typed recipe, or an error of one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import pydantic
import yaml

from vipann_tf.errors import UserError
from vipann_tf.files.shipped import find_shipped, shipped_files, shipped_folder
from vipann_tf.former_names import with_present_names
from vipann_tf.recipes.schema import Section

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["find_recipe", "load_recipe", "shipped_recipes"]

Recipe = TypeVar("Recipe", bound=pydantic.BaseModel)


def load_recipe(
    kind: type[Recipe], path: str | Path | None, settings: Sequence[str | Mapping] = ()
) -> Recipe:
    """Read a recipe and apply overrides.

    Args:
      kind: `PretrainRecipe`, `TransferRecipe` or `vipann_tf.study.recipe.StudyRecipe`.
      path: A YAML file, or the name of a shipped recipe such as `pretrain/quickstart_flipout`;
        `None` for the defaults.
      settings: Overrides: `section.key=value` with a value in YAML, or nested mappings. Later
        ones win.

    Raises:
      UserError: The file, a key or a value is wrong; the message names it and what is allowed.
    """
    origin = "the defaults"
    values: dict[str, Any] = {}
    if path is not None:
        file = find_recipe(path)
        origin = str(path)
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise UserError(f"{path} holds a {type(values).__name__}; a recipe is a YAML mapping")
        values = _present_names(kind, values)
    for setting in settings:
        if isinstance(setting, str):
            _override(kind, values, setting)
        else:
            values = _merged(values, _present_names(kind, setting))
    try:
        return kind.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError(f"recipe ({origin}): {_explain(kind, error)}") from error


def find_recipe(path: str | Path) -> Traversable:
    """Find the file of a recipe: a path, or the name of a shipped one, with or without `.yaml`."""
    if Path(path).is_file():
        return Path(path)
    for name in (str(path), f"{path}.yaml"):
        found = find_shipped("recipes", name)
        if found is not None and found.is_file():
            return found
    names = shipped_recipes()
    close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.3) or names
    raise UserError(
        f"no recipe {path}: give a YAML file, or a shipped recipe such as {', '.join(close)}"
    )


def shipped_recipes(folder: str = "") -> list[str]:
    """Return the names of the shipped recipes whose names begin with `folder`."""
    return [
        name.removesuffix(".yaml")
        for name, _ in shipped_files(shipped_folder("recipes"))
        if name.startswith(folder) and name.endswith(".yaml")
    ]


def _present_names(kind: type[pydantic.BaseModel], values: Mapping) -> dict:
    """Return the values with current keys, so that overrides match them."""
    try:
        result = with_present_names(values, getattr(kind, "former_names", {}))
    except ValueError as error:
        raise UserError(f"recipe: {error}") from error
    for key, field in kind.model_fields.items():
        section, inner = field.annotation, result.get(key)
        if not isinstance(section, type) or not issubclass(section, Section):
            continue
        if isinstance(inner, Mapping):
            result[key] = _present_names(section, inner)
    return result


def _override(kind: type[pydantic.BaseModel], values: dict, setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {setting!r} is not KEY=VALUE, e.g. optimizer.learning_rate=1e-4")
    *sections, leaf = key.strip().split(".")
    for section in sections:
        field = kind.model_fields.get(section)
        if field is not None and isinstance(field.annotation, type):
            kind = field.annotation
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {setting!r}: {section} is a value, not a section")
    try:
        values[getattr(kind, "former_names", {}).get(leaf, leaf)] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {setting!r}: the value is not YAML") from error


def _merged(values: Mapping, changes: Mapping) -> dict:
    """Return the values updated by `changes`, section by section."""
    result = dict(values)
    for key, change in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(change, Mapping):
            change = _merged(old, change)
        result[key] = change
    return result


def _explain(kind: type[pydantic.BaseModel], error: pydantic.ValidationError) -> str:
    """Describe the first mistakes of a recipe, in one line."""
    texts = []
    for item in error.errors()[:3]:
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "value_error" and isinstance(item["input"], dict):
            texts.append(f"{key}: {item['msg'].removeprefix('Value error, ')}")
        elif item["type"] == "extra_forbidden":
            texts.append(f"unknown key {key}; {_nearest(kind, item['loc'])}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            texts.append(f"{key} is {item['input']!r}: {message[0].lower()}{message[1:]}")
    return "; ".join(texts)


def _nearest(kind: type[pydantic.BaseModel], location: tuple) -> str:
    """Name the keys that are allowed in place of an unknown one."""
    annotation: Any = kind
    for section in location[:-1]:
        # The last type argument of a mapping or a list of sections is the section.
        if section in getattr(annotation, "model_fields", ()):
            annotation = annotation.model_fields[section].annotation
        while arguments := get_args(annotation):
            annotation = next(x for x in reversed(arguments) if x is not type(None))
    fields = list(annotation.model_fields)
    close = difflib.get_close_matches(str(location[-1]), fields, n=1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(fields)}"
