"""Haze: the atmospheric scattering model, with a depth invented from position, noise and edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebench import Degraded
from restorebench.toolbox.filters import guided_filter
from restorebench_degradations import options
from restorebench_degradations.fields import Array, finished, luma, scale, smooth_noise
from restorebench_degradations.levels import at, explicit_or, within

if TYPE_CHECKING:
    from restorebench import Image

BETAS = ((0.4, 0.7), (0.7, 1.0), (1.0, 1.4), (1.4, 2.0), (2.0, 2.8))
AIRLIGHT = (0.8, 1.0)
TINT = (-0.03, 0.03)
VEIL_AIRLIGHT = 0.9


def invented_depth(clean: Image, rng: np.random.Generator) -> Array:
    """Return an (H, W) float32 depth in [0, 1]: far at the top, uneven, with edges where the luma has them."""
    height, width = clean.shape[:2]
    above = 1 - (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    depth = 0.75 * above + 0.25 * smooth_noise(rng, height, width, 1 / 8)
    radius = max(1, round(20 * scale(height, width)))
    return np.clip(guided_filter(luma(clean), depth, radius, 1e-3), 0, 1)


def scattered(image: Array, transmission: Array, airlight: Array | float) -> Array:
    """Return x t + A (1 - t), Koschmieder's scattering model; transmission t is (H, W)."""
    share = transmission[:, :, None]
    return np.asarray(image * share + airlight * (1 - share), dtype=np.float32)


def veil(clean: Image, image: Array, beta: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Add thin haze over particles; return image and transmission. The depth comes from the clean image."""
    transmission = np.exp(-beta * invented_depth(clean, rng))
    return scattered(image, transmission, VEIL_AIRLIGHT), transmission


class Hazy:
    """Haze: a blend towards the airlight that grows with depth."""

    def __init__(self, options: options.Hazy, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Add haze; the map `transmission` is t of the scattering model."""
        unit_airlight, unit_beta, unit_tint = rng.random(), rng.random(), rng.random(3)
        depth = invented_depth(clean, rng)
        given = self.options
        if given.airlight is None:
            tinted = [within(unit_airlight, AIRLIGHT) + within(unit, TINT) for unit in unit_tint]
            airlight = [min(value, 1.0) for value in tinted]
        else:
            airlight = [given.airlight] * 3
        beta = explicit_or(given.beta, within(unit_beta, at(severity, BETAS)))
        transmission = np.exp(-beta * depth).astype(np.float32)
        image = scattered(clean, transmission, np.array(airlight, dtype=np.float32))
        return Degraded(finished(image), {"beta": beta, "airlight": airlight}, {"transmission": transmission})
