"""Recordings as a model hears them: at its sample rate, at the speed that it was trained on."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.channels import Channel
from vipann_tf.audio.decoding import NEGLIGIBLE_S, Decoder, Sound, padded
from vipann_tf.audio.windows import sliding_windows
from vipann_tf.errors import UserError
from vipann_tf.notices import Notice
from vipann_tf.saved_model.metadata import ModelInfo

__all__ = ["Hearing"]


class Hearing:
    """A reader of recordings for a model.

    Args:
      info: Metadata of the model.
      channel: What to hear of several channels.
      time_expansion: How many times to slow recordings down; by default as the model was trained.

    Attributes:
      decoder: What reads the recordings; its findings are those of this object.
      time_expansion: How many times recordings are slowed down.

    Raises:
      UserError: The model was trained on recordings of another time expansion.
    """

    def __init__(
        self, info: ModelInfo, *, channel: Channel = "mix", time_expansion: float | None = None
    ):
        trained = info.time_expansion
        if time_expansion is not None and time_expansion != trained:
            raise UserError(
                f"time expansion is {time_expansion:g}, but the model was trained on recordings"
                f" slowed {trained:g} times; leave --time-expansion out, or transfer the model to"
                " data that was prepared with it"
            )
        self.time_expansion = trained
        self._least_s = info.least_seconds / trained
        self._found: list[tuple[str, str]] = []
        self.decoder = Decoder(
            info.sample_rate_hz,
            channel=channel,
            time_expansion=trained,
            on_finding=lambda kind, detail: self._found.append((kind, detail)),
        )

    def read(self, path: Sound) -> NDArray[np.float32]:
        """Return a whole recording, float32 [samples].

        Raises:
          DecodeError: There is no usable waveform.
        """
        self._found.clear()
        waveform = self.decoder.read(path)
        self.note_padding(waveform)
        return waveform

    def windows(
        self, path: Sound, window_s: float, hop_s: float
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Yield start in seconds and waveform of the windows of a recording, see `sliding_windows`.

        Raises:
          DecodeError: The recording can't be read to its end.
        """
        self._found.clear()
        for start_s, waveform in sliding_windows(self.decoder, path, window_s, hop_s):
            self.note_padding(waveform)
            yield start_s, waveform

    def note_padding(self, waveform: NDArray[np.float32]) -> None:
        """Note that a waveform is so short that a connection pads it, if it is."""
        missing_s = self._least_s - len(waveform) / self.decoder.samples_per_second
        if missing_s > NEGLIGIBLE_S:
            self._found.append(padded(self._least_s - missing_s, missing_s))

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Kind and detail of what is to be known of the recording, once it was read."""
        return list(self._found)

    def notices(self, path: Sound) -> tuple[Notice, ...]:
        """Return what is to be known of the recording that was read last, once it was read."""
        return tuple(Notice(str(path), "", kind, detail) for kind, detail in self._found)
