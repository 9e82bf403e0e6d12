"""The rule for samples that are not in units of full scale."""

import numpy as np
import pytest

from vipann_tf.audio.scale import FULL_SCALE_LIMIT, SCALE_FIX, check_scale

RNG = np.random.default_rng(0)
INT16 = RNG.integers(-32768, 32767, [4000, 2])


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0),
        np.zeros(100),
        np.zeros([100], np.int16),
        np.full(100, np.nan),
        RNG.choice([-1.0, 0.0, 1.0], 1000),
        RNG.normal(0, 1, 1000).astype(np.float32).clip(-5, 5),
        np.append(RNG.normal(0, 0.1, 1000), FULL_SCALE_LIMIT),
        INT16 / 32768,
        (INT16 / 32768).astype(np.float16),
    ],
)
def test_samples_in_units_of_full_scale(waveform):
    check_scale(waveform)


@pytest.mark.parametrize(
    "waveform, peak",
    [
        (INT16, np.abs(INT16).max()),
        (INT16.astype(np.float32), np.abs(INT16).max()),
        (np.array([-32768, 5], np.int16), 32768),
        (np.array([0, 255], np.uint8), 255),
        (np.array([0.0, -2, 1]), 2),
        (np.array([0.1, 10.25, np.nan]), 10.25),
        (np.array([np.nan, 1, 3]), 3),
        (np.array([0.5, -1e30]), "1e+30"),
        (np.array([0.5, np.inf]), "inf"),
        (np.array([0.5, 2.0**31 - 0.5]), 2.14748e09),
    ],
)
def test_other_samples_are_refused_with_peak_and_fix(waveform, peak):
    with pytest.raises(ValueError, match="full scale 1") as caught:
        check_scale(waveform)
    shown = peak if isinstance(peak, str) else f"{peak:.6g}"
    assert f"peak is {shown}; {SCALE_FIX}" in str(caught.value)
