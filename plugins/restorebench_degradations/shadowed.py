"""Shadow: a soft matte darkens the scene and makes it slightly blue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import Array, finished, gaussian_blur, smooth_noise
from restorebench_degradations.levels import at, explicit_or, within
from restorebench_degradations.light import GAMMA, to_display, to_linear

if TYPE_CHECKING:
    from restorebench import Image

AREAS = ((0.1, 0.2), (0.15, 0.3), (0.2, 0.4), (0.3, 0.5), (0.4, 0.6))
ATTENUATIONS = ((0.65, 0.8), (0.5, 0.65), (0.38, 0.5), (0.28, 0.38), (0.18, 0.28))
PENUMBRAS = (0.02, 0.015, 0.01, 0.008, 0.006)
SKY = (0.92, 0.97, 1.06)
"""Gains of red, green and blue in the umbra, which only the sky lights."""
PENUMBRA_SPREAD = (0.5, 1.5)
"""Factors of the penumbra's mean width, at its sharpest and at its softest in an image."""


def soft_matte(outline: Array, softness: Array, area: float, penumbra_px: float) -> Array:
    """Threshold an (H, W) field in [0, 1] at the quantile that gives `area`, and soften the edge.

    softness: (H, W) in [0, 1]; the penumbra has half its mean width at 0, and one and a half times at 1.
    """
    umbra = (outline > np.quantile(outline, 1 - area)).astype(np.float32)
    sharp, soft = (gaussian_blur(umbra, penumbra_px * spread) for spread in PENUMBRA_SPREAD)
    return np.asarray(sharp + softness * (soft - sharp))


class Shadowed:
    """A shadow: a factor of 1 - m (1 - c), with m the matte and c the attenuation per channel."""

    def __init__(self, options: options.Shadowed, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Cast a shadow; the map `matte` is 1 in the umbra, 0 in the light."""
        height, width = clean.shape[:2]
        unit_area, unit_light = rng.random(2)
        outline = smooth_noise(rng, height, width, 1 / 7)
        softness = smooth_noise(rng, height, width, 1 / 4)
        given = self.options
        area = explicit_or(given.area, within(unit_area, at(severity, AREAS)))
        attenuation = explicit_or(given.attenuation, within(unit_light, at(severity, ATTENUATIONS)))
        penumbra = explicit_or(given.penumbra, at(severity, PENUMBRAS))
        matte = soft_matte(outline, softness, area, penumbra * max(height, width))
        umbra = np.minimum(attenuation * np.array(SKY, dtype=np.float32), 1)
        if given.physical:
            image = to_display(to_linear(clean) * (1 - matte[:, :, None] * (1 - umbra**GAMMA)))
        else:
            image = clean * (1 - matte[:, :, None] * (1 - umbra))
        parameters = {
            "area": area,
            "attenuation": [float(value) for value in umbra],
            "penumbra": penumbra,
            "physical": given.physical,
        }
        return Degraded(finished(image), parameters, {"matte": matte})
