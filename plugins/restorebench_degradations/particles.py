"""Rain and snow share this: particles scattered over the image, each drawn along a short segment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from restorebench_degradations.fields import Array, scale, splat


@dataclass(frozen=True)
class Sky:
    """The canvas that particles fall on: the image with a margin, so that some reach in from outside.

    height and width in px without the margin; margin in px at a shorter side of 480.
    """

    height: int
    width: int
    margin: float

    @property
    def scale(self) -> float:
        """Return the factor on lengths."""
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
        """Return how many particles a density (per px at scale 1) means, the margin included."""
        return round(density * math.prod(self.canvas) / self.scale**2)

    def draw(self, rng: np.random.Generator, densest: float) -> Array:
        """Draw (N, 3) uniforms, row, column and amplitude, for the densest sky there can be.

        A thinner sky takes the first of them: so a higher density keeps every particle of a lower one.
        """
        return rng.random((self.count(densest), 3))

    def segments(self, unit: Array, amplitudes: Array, length_px: Array | float, angle: Array | float) -> Array:
        """Draw each particle as a segment of a line density of one amplitude per px, on the wide canvas.

        angle in radians, pi/2 is straight down; both may differ per particle.
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
