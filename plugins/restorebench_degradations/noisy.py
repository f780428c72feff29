"""Noise: white Gaussian noise, or sensor noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import finished
from restorebench_degradations.levels import at, explicit_or
from restorebench_degradations.light import read_variance, sensor_noise, to_display, to_linear

if TYPE_CHECKING:
    from restorebench import Image

SIGMAS = (15.0, 25.0, 35.0, 50.0, 75.0)
SHOTS = (4e-4, 1e-3, 2.5e-3, 6e-3, 1.2e-2)
"""Shot noise of `poisson-gaussian`, in the range 1e-4 to 0.012 of Brooks et al., Unprocessing, CVPR 2019."""


class Noisy:
    """Noise that is independent per pixel and channel."""

    def __init__(self, options: options.Noisy, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Add noise; with `clip: false` the Gaussian variant may leave [0, 1]."""
        normal = rng.standard_normal(clean.shape, dtype=np.float32)
        given = self.options
        if given.variant == "poisson-gaussian":
            shot = explicit_or(given.shot, at(severity, SHOTS))
            image = to_display(sensor_noise(to_linear(clean), shot, normal))
            return Degraded(finished(image), {"variant": given.variant, "shot": shot, "read": read_variance(shot)})
        sigma = explicit_or(given.sigma, at(severity, SIGMAS))
        image = clean + normal * np.float32(sigma / 255)
        parameters = {"variant": given.variant, "sigma": sigma, "clip": given.clip}
        return Degraded(finished(image) if given.clip else image, parameters)
