"""Former names of values in files that earlier versions wrote."""

from collections.abc import Mapping
from typing import Any

__all__ = ["with_present_names"]


def with_present_names(values: Any, present: Mapping[str, str]) -> Any:
    """Return a mapping with its former keys replaced by the present ones.

    Args:
      values: What was read; anything but a mapping is returned as it is.
      present: Former name -> present name.

    Raises:
      ValueError: A value is given by both of its names.
    """
    if not isinstance(values, Mapping):
        return values
    for former, name in present.items():
        if former in values and name in values:
            raise ValueError(
                f"{former} is the former name of {name}, and both are given; use {name}"
            )
    return {present.get(key, key): value for key, value in values.items()}
