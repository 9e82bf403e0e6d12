"""Why a file gives no waveform."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["MIN_DURATION_S", "REASONS", "DecodeError", "decode_errors", "first_line"]

# Ten hops of the log-mel frontend; anything shorter holds no usable sound event.
MIN_DURATION_S = 0.1

REASONS = {
    "missing-file": "the file does not exist",
    "empty": "the file holds no bytes or no samples",
    "undecodable": "the file is no audio, or damaged, or of a format that nothing here decodes",
    "too-short": f"less than {MIN_DURATION_S} s of audio at the clip's offset",
    "non-finite": "the audio holds NaN or infinite samples",
    "wrong-scale": "the samples are far beyond full scale, such as integers stored as floats",
    "no-channel": "the file does not have the channel that was asked for",
}


class DecodeError(ValueError):
    """An error: the file gives no usable waveform.

    Attributes:
      reason: A key of `REASONS`.
      detail: The finding, for the user.
    """

    def __init__(self, reason: str, detail: str):
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return DecodeError, (self.reason, self.detail)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text without its number, or its kind."""
    words = getattr(error, "strerror", None)
    if isinstance(words, str) and words:  # of the system's and FFmpeg's errors
        return words
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def decode_errors() -> Iterator[None]:
    """Make whatever a decoder raises a `DecodeError`: one bad file must not stop the others."""
    try:
        yield
    except (DecodeError, AssertionError, MemoryError):
        raise
    except Exception as error:
        text = first_line(error)
        raise DecodeError("undecodable", f"{type(error).__name__}: {text}") from error
