"""Snow: opaque flakes in up to three sizes, each at three depths."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import Array, finished, gaussian_blur, splat_sigma
from restorebench_degradations.hazy import veil
from restorebench_degradations.levels import at, within
from restorebench_degradations.options import Flakes
from restorebench_degradations.particles import Sky

if TYPE_CHECKING:
    from restorebench import Image


def _sizes(*rows: tuple[float, float, float]) -> tuple[Flakes, ...]:
    return tuple(Flakes(density=density, radius=radius, opacity=opacity) for density, radius, opacity in rows)


LEVELS = (
    _sizes((0.002, 0.8, 0.8)),
    _sizes((0.004, 0.8, 0.9)),
    _sizes((0.004, 0.8, 0.9), (0.0008, 1.75, 0.9)),
    _sizes((0.005, 0.9, 0.95), (0.0013, 1.75, 0.95), (0.00016, 4.5, 0.9)),
    _sizes((0.008, 0.95, 1), (0.0028, 1.95, 1), (0.0004, 5.4, 0.95)),
)
DENSEST = (0.008, 0.0028, 0.0004)
DEPTHS = (0.7, 1.0, 1.4)
"""Factors of the radius for each third of the flakes: far, middle, near."""
SLANT = (50.0, 130.0)  # degrees, 90 is straight down
STRETCH = (1.0, 2.0)  # radii
STRETCHED_FROM_PX = 1.5
SEED_OPACITY = (0.5, 1.0)
EDGE = 1.5
"""Factor of a flake before it is clipped, which gives a flat core with a soft edge."""
MARGIN = 25  # three sigma of the largest flake
VEIL_BETA = 0.3


def flake_gain(radius_px: float, length_px: float) -> float:
    """Return the factor that gives a segment of line density 1, blurred by radius_px, a peak near 1.

    The pixel grid widens flakes that are about as small as a pixel. Their peak is lowered so that their squared
    error is the one of a flake of the wanted radius, and an enlarged photograph keeps its PSNR.
    """
    real = splat_sigma(radius_px)
    peak = math.erf(length_px / (2 * math.sqrt(2) * real)) / (math.sqrt(2 * math.pi) * real)
    return radius_px / real / peak


class Snowy:
    """Flakes blended over the image: y = a z + x (1 - z)."""

    def __init__(self, options: options.Snowy, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Add snow; the map `alpha` is z in [0, 1]."""
        sky = Sky(*clean.shape[:2], margin=MARGIN)
        given = self.options
        sizes = at(severity, LEVELS) if given.flakes is None else given.flakes
        colour = 1 - 0.05 * rng.random(3)
        motion = rng.random((len(DENSEST), len(DEPTHS), 2))
        alpha = np.zeros(clean.shape[:2], dtype=np.float32)
        for index, densest in enumerate(DENSEST):
            most = max(densest, given.flakes[index].density if given.flakes and index < len(given.flakes) else 0)
            for depth, units in zip(DEPTHS, motion[index], strict=True):
                seeds = sky.draw(rng, most / len(DEPTHS))  # drawn for all severities, used by some
                if index < len(sizes):
                    alpha = np.maximum(alpha, self._flakes(sky, seeds, sizes[index], depth, units))
        share = alpha[:, :, None]
        image = share * colour.astype(np.float32) + clean * (1 - share)
        maps = {"alpha": alpha}
        parameters: dict[str, Any] = {  # Any: numbers and lists of them
            "flakes": [size.model_dump() for size in sizes],
            "colour": colour.tolist(),
            "veil": given.veil,
        }
        if given.veil:
            image, maps["transmission"] = veil(clean, image, VEIL_BETA, rng)
        return Degraded(finished(image), parameters, maps)

    @staticmethod
    def _flakes(sky: Sky, seeds: Array, size: Flakes, depth: float, units: Array) -> Array:
        """Draw one depth of one size, (H, W) float32; units decide the slant and the stretch."""
        chosen = seeds[: sky.count(size.density / len(DEPTHS))]
        radius_px = size.radius * depth * sky.scale
        stretched = size.radius * depth > STRETCHED_FROM_PX
        # A dot is drawn as a very short segment, so that one formula serves both.
        length_px = radius_px * (within(units[1], STRETCH) if stretched else 1e-3)
        angle = math.radians(within(units[0], SLANT))
        amplitudes = SEED_OPACITY[0] + chosen[:, 2] * (SEED_OPACITY[1] - SEED_OPACITY[0])
        canvas = sky.segments(chosen, amplitudes, length_px, angle).astype(np.float32)
        blob = gaussian_blur(canvas, radius_px) * flake_gain(radius_px, length_px)
        return (np.clip(EDGE * sky.crop(blob), 0, 1) * size.opacity).astype(np.float32)
