"""Haze: the dark channel gives its thickness, and a guided filter aligns it with the edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import minimum_filter

from restorebench.toolbox.filters import guided_filter

if TYPE_CHECKING:
    from restorebench import Image

    Plane = np.ndarray[tuple[int, int], np.dtype[np.float32]]

PATCH = 0.05  # half window of the dark channel over the short side; 0.03 equal, 0.1 loses 0.6 dB
RADIUS = 0.2  # of the guided filter over the short side; 0.05 loses 0.5 dB
EPSILON = 1e-3  # of the guided filter; 1e-2 and 1e-4 are within 0.1 dB
RAISE = 1.1  # clean photographs' dark channel is near 0.1, not 0; both 1.0 and 1.2 lose 0.5 dB or more
T_MIN = 0.1  # He et al.'s; never reached below severity 5
BRIGHTEST = 0.01  # share of pixels, brightest in the dark channel, over which the airlight is averaged
AIRLIGHT_MIN = 0.8  # haze in daylight; 0.7 and 0.9 lose 0.5 dB
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601


def dehaze(degraded: Image) -> Image:
    """Remove haze from (H, W, 3) float32: x = (y - A) / t + A.

    He, Sun and Tang, "Single image haze removal using dark channel prior" (CVPR 2009), refined by the
    guided filter (He et al., ECCV 2010). We use RAISE (1 - dark) in place of their 1 - ω dark, as it suits both
    thick and thin haze.
    """
    side = min(degraded.shape[:2])
    size = 2 * round(PATCH * side) + 1
    airlight = atmospheric_light(degraded, minimum_filter(degraded.min(axis=2), size))
    dark = minimum_filter((degraded / airlight).min(axis=2), size)
    rough = np.minimum(RAISE * (1 - dark), 1)
    guide = (degraded @ LUMA).astype(np.float64)  # for precise differences of running sums
    smooth = guided_filter(guide, rough.astype(np.float64), round(RADIUS * side), EPSILON)
    transmission = smooth.astype(np.float32)
    return ((degraded - airlight) / np.clip(transmission, T_MIN, 1)[..., None] + airlight).astype(np.float32)


def atmospheric_light(degraded: Image, dark: Plane) -> np.ndarray:
    """Average the pixels with the brightest dark channel, (3,) float32, at least AIRLIGHT_MIN."""
    count = max(round(BRIGHTEST * dark.size), 1)
    chosen = np.argpartition(dark.ravel(), -count)[-count:]
    return np.maximum(degraded.reshape(-1, 3)[chosen].mean(axis=0), np.float32(AIRLIGHT_MIN))
