"""Image filters that more than one plugin uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

Array = np.ndarray[Any, Any]


def guided_filter(guide: Array, image: Array, radius: int, epsilon: float) -> Array:
    """Smooth an (H, W) image so that its edges follow an (H, W) guide in [0, 1]; dtype is kept.

    He, Sun, Tang, Guided image filtering, TPAMI 2013, equations 5, 6 and 8; windows of (2 radius + 1)^2 px,
    borders mirrored. In large windows, nearly equal sums are subtracted: pass float64 where that matters.
    """

    def mean(values: Array) -> Array:
        return np.asarray(uniform_filter(values, 2 * radius + 1, mode="reflect"))

    mean_guide, mean_image = mean(guide), mean(image)
    slope = (mean(guide * image) - mean_guide * mean_image) / (mean(guide**2) - mean_guide**2 + epsilon)
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)
