"""Particles of rain and snow: scattered over the image, each drawn as a short segment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from restorebench_degradations.fields import Array, scale, splat


@dataclass(frozen=True)
class Sky:
    """The canvas of particles: the image with a margin, so that particles outside may reach into it.

    height and width are in px without the margin; margin is in px at a shorter side of 480.
    """

    height: int
    width: int
    margin: float

    @property
    def scale(self) -> float:
        """Return the factor of lengths."""
        return scale(self.height, self.width)

    @property
    def margin_px(self) -> int:
        """Return the margin in px of this image."""
        return math.ceil(self.margin * self.scale)

    @property
    def canvas(self) -> tuple[int, int]:
        """Return the canvas's height and width in px."""
        return self.height + 2 * self.margin_px, self.width + 2 * self.margin_px

    def count(self, density: float) -> int:
        """Return the number of particles for a density (per px at scale 1), including the margin."""
        return round(density * math.prod(self.canvas) / self.scale**2)

    def draw(self, rng: np.random.Generator, densest: float) -> Array:
        """Draw (N, 3) uniform numbers, for row, column and amplitude, for the highest density.

        A lower density takes the first of them, so a higher density keeps all particles of a lower one.
        """
        return rng.random((self.count(densest), 3))

    def segments(self, unit: Array, amplitudes: Array, length_px: Array | float, angle: Array | float) -> Array:
        """Draw each particle as a segment with a line density of its amplitude per px, on the canvas with margin.

        length_px and angle may differ per particle; angle is in radians, pi/2 is straight down.
        """
        height, width = self.canvas
        samples = math.ceil(float(np.max(length_px, initial=0))) + 1
        along = (np.arange(samples) + 0.5) / samples - 0.5
        reach = np.broadcast_to(length_px, len(unit))[:, None] * along
        rows = unit[:, :1] * height - 0.5 + reach * np.sin(np.broadcast_to(angle, len(unit)))[:, None]
        columns = unit[:, 1:2] * width - 0.5 + reach * np.cos(np.broadcast_to(angle, len(unit)))[:, None]
        weights = (amplitudes * length_px / samples)[:, None].repeat(samples, 1)
        return splat(rows.ravel(), columns.ravel(), weights.ravel(), height, width)

    def crop(self, canvas: Array) -> Array:
        """Cut the margin off."""
        m = self.margin_px
        return canvas[m : m + self.height, m : m + self.width]
