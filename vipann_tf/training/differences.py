"""Differences between a finished and a requested training."""


def differing_keys(before: dict, after: dict, prefix: str = "") -> list[str]:
    """Return the dotted keys whose values differ, sorted.

    Args:
      before: Nested values.
      after: Other nested values.
      prefix: Beginning of every key returned.
    """
    keys = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            keys += differing_keys(old, new, f"{prefix}{key}.")
        elif old != new:
            keys.append(f"{prefix}{key}")
    return keys
