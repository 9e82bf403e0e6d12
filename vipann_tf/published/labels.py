"""Label lists of AudioSet, for the published networks, and of CSV files."""

import csv
import os
from importlib import resources

from vipann_tf.errors import UserError
from vipann_tf.files.paths import StrPath

__all__ = ["audioset_labels", "read_labels"]

# index, id and name of AudioSet's 527 classes (Gemmeke et al., ICASSP 2017), in the order of the
# outputs of every network trained on it.
_AUDIOSET = resources.files(__package__) / "audioset_labels.csv"
# Possible columns of the names; AudioSet's class_labels_indices.csv has `display_name`.
_NAME_COLUMNS = ("name", "display_name", "label")


def audioset_labels() -> tuple[str, ...]:
    """Return the display names of AudioSet's 527 classes, in order.

    >>> len(audioset_labels()), audioset_labels()[0], audioset_labels()[526]
    (527, 'Speech', 'Field recording')
    """
    with resources.as_file(_AUDIOSET) as path:
        return read_labels(path)


def read_labels(path: StrPath, count: int | None = None) -> tuple[str, ...]:
    """Read label names from a CSV file with a header.

    Args:
      path: The file. A column `name`, `display_name` or `label` has the names; a column `index`, if
        there is one, must count 0, 1, 2, ... in order.
      count: Required number of labels; `None` for any number above 0.

    Returns:
      The names in order.

    Raises:
      UserError: The file cannot be read, has no column of names, an index out of order, an empty or
        repeated name, or a number of labels other than `count`.
    """
    path = os.fspath(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = reader.fieldnames or []
            rows = list(reader)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    column = next((name for name in _NAME_COLUMNS if name in columns), None)
    if column is None:
        raise UserError(
            f"{path} has the columns {', '.join(columns) or 'of an empty file'}; one of "
            f"{', '.join(_NAME_COLUMNS)} must have the labels' names."
        )
    names: dict[str, int] = {}
    for position, row in enumerate(rows):
        index, name = row.get("index", str(position)), (row[column] or "").strip()
        if index != str(position):
            raise UserError(
                f"{path} has index {index!r} in row {position}; rows must be in the order of the "
                "network's outputs, 0, 1, 2, ..."
            )
        if not name:
            raise UserError(f"{path} has an empty {column} in row {position}.")
        if name in names:
            raise UserError(
                f"{path} has the label {name!r} in rows {names[name]} and {position}; "
                "names must differ."
            )
        names[name] = position
    if len(names) != count and (count is not None or not names):
        raise UserError(
            f"{path} has {len(names)} labels; "
            + ("at least one is needed." if count is None else f"the network has {count}.")
        )
    return tuple(names)
