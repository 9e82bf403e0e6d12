"""From the channels of a recording to one waveform."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vipann_tf.audio.errors import DecodeError

__all__ = ["Channel", "Mixer", "parse_channel"]

# What to hear: the mean of all channels, the loudest of them, or one of them, counted from 1.
Channel = Literal["mix", "loudest"] | int

# Channels cancel where their mean has less than this share of their power: 20 dB. The mean of
# unrelated channels has a half (two channels) to an eighth (eight).
CANCELLING = 0.01
# A channel is dead if it has less than this share of the power of the loudest: 60 dB.
DEAD = 1e-6
# Power below which there is nothing to compare: -90 dB of full scale.
_SILENCE = 1e-9


def parse_channel(text: str) -> Channel:
    """Return a choice of channel from its text.

    Raises:
      ValueError: It is none.
    """
    if text == "mix":
        return "mix"
    if text == "loudest":
        return "loudest"
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise ValueError(f"{text!r} is no channel; use mix, loudest, or a number from 1 on")


class Mixer:
    """A maker of one waveform; it decides at the first block that is not silent.

    Args:
      channel: What the user wants to hear.
      channels: Number of channels of the recording.

    Attributes:
      findings: Kind and detail of what the user should know; complete after `close`.

    Raises:
      DecodeError: The recording does not have that channel.
    """

    def __init__(self, channel: Channel, channels: int):
        if isinstance(channel, int) and channel > channels:
            words = "1 channel" if channels == 1 else f"{channels} channels"
            raise DecodeError("no-channel", f"channel {channel} of a recording of {words}")
        self._taken = channel - 1 if isinstance(channel, int) else None
        self._wanted = channel
        self._decided = channels == 1 or isinstance(channel, int)
        self._power = np.zeros(channels)  # of each channel, summed over samples
        self._mixed_power = 0.0
        self._samples = 0
        self.findings: list[tuple[str, str]] = []

    def mix(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield float32 [samples] for each block, float32 [samples, channels]."""
        for block in blocks:
            if block.shape[1] == 1:
                yield block[:, 0]
                continue
            power = np.einsum("tc,tc->c", block, block, dtype=np.float64)
            mixed = block.mean(axis=1, dtype=np.float32)
            mixed_power = float(np.dot(mixed, mixed))
            self._power += power
            self._mixed_power += mixed_power
            self._samples += len(block)
            if not self._decided and power.max() > _SILENCE * len(block):
                self._decide(power, mixed_power)
            yield mixed if self._taken is None else np.ascontiguousarray(block[:, self._taken])

    def close(self) -> None:
        """Sum up, after the last block."""
        loudest = self._power.max()
        if self._samples == 0 or loudest <= _SILENCE * self._samples:
            return
        if self._taken is None and self._mixed_power < CANCELLING * self._power.mean():
            self.findings.append(
                (
                    "channels-cancel",
                    f"the mix of its {len(self._power)} channels is"
                    f" {_decibels(self._power.mean(), self._mixed_power)} below them; take one:"
                    f" --channel {int(np.argmax(self._power)) + 1}",
                )
            )
        dead = [str(i + 1) for i, power in enumerate(self._power) if power < DEAD * loudest]
        if dead and not isinstance(self._wanted, int):
            one = f"channel {dead[0]} is" if len(dead) == 1 else f"channels {', '.join(dead)} are"
            weaken = "weakens" if len(dead) == 1 else "weaken"
            mixed = "" if self._taken is not None else f", and {weaken} the mix"
            self.findings.append(("dead-channel", f"{one} silent{mixed}"))
        if isinstance(self._wanted, int) and str(self._wanted) in dead:
            self.findings.append(("dead-channel", f"channel {self._wanted}, as asked, is silent"))

    def _decide(self, power: NDArray[np.float64], mixed_power: float) -> None:
        self._decided = True
        loudest = int(np.argmax(power))
        if self._wanted == "loudest":
            self._taken = loudest
        elif mixed_power < CANCELLING * power.mean():
            self._taken = loudest
            less = _decibels(power.mean(), mixed_power)
            self.findings.append(
                (
                    "channels-cancel",
                    f"the mix of its {len(power)} channels is {less}"
                    f" below them; channel {loudest + 1} is taken instead",
                )
            )


def _decibels(power: float, less: float) -> str:
    return "beyond measure" if less <= 0 else f"{10 * math.log10(power / less):.0f} dB"
