"""Numbers as readers see them in reports."""

__all__ = ["difference_text", "interval_text", "percent"]


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share as "86 %" with a no-break space, "not defined" for None."""
    return "not defined" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def interval_text(interval: dict, scale: float = 1.0, digits: int = 3) -> str:
    """Return the ends of an interval as "0.79 to 0.93", "" if it has none."""
    if interval["low"] is None:
        return ""
    return f"{scale * interval['low']:.{digits}f} to {scale * interval['high']:.{digits}f}"


def difference_text(interval: dict | None, digits: int = 3) -> str:
    """Return a difference as "+0.012 (-0.004 to +0.031)", a dash for None or no value."""
    if interval is None or interval["value"] is None:
        return "\N{EN DASH}"
    value, low, high = (interval[name] for name in ("value", "low", "high"))
    if low is None:
        return f"{value:+.{digits}f}"
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
