"""Linear light and sensor noise."""

from __future__ import annotations

import numpy as np

from restorebench_degradations.fields import Array

GAMMA = 2.2
"""Display gamma of the recipes, as in GoPro and the literature, in place of the sRGB curve."""


def to_linear(image: Array) -> Array:
    """Convert display values in [0, 1] to linear light."""
    return np.asarray(np.clip(image, 0, 1) ** GAMMA)


def to_display(linear: Array) -> Array:
    """Convert linear light to display values in [0, 1]; light outside [0, 1] saturates."""
    return np.asarray(np.clip(linear, 0, 1) ** (1 / GAMMA))


def read_variance(shot: float) -> float:
    """Return the read noise variance for a shot noise level: 3 shot^2, in linear light squared."""
    return 3 * shot**2


def sensor_noise(linear: Array, shot: float, normal: Array) -> Array:
    """Add heteroscedastic Gaussian noise of variance `shot * light + read`, in linear light.

    The form is that of Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019, section 3.1.
    normal: standard normal numbers of the same shape as `linear`.
    """
    return np.asarray(linear + normal * np.sqrt(shot * linear + read_variance(shot)))
