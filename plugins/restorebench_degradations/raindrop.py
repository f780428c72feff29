"""Raindrops on glass: each drop is a small wide-angle lens that shows the scene upside down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import REFERENCE_SIDE, Array, finished, gaussian_blur, scale
from restorebench_degradations.levels import Range, at, explicit_or, within

if TYPE_CHECKING:
    from restorebench import Image


@dataclass(frozen=True)
class Level:
    """One severity. radius and blur (sigma) in px at scale 1."""

    count: Range
    radius: Range
    blur: float


LEVELS = (
    Level((14, 28), (5, 14), 1.0),
    Level((28, 50), (6, 18), 1.5),
    Level((50, 85), (6, 22), 2.0),
    Level((85, 120), (7, 26), 2.5),
    Level((125, 190), (8, 30), 3.0),
)
STRETCH, MINIFICATION = (1.0, 1.4), (3.0, 6.0)
TAILED, SPECULAR = 0.5, 0.2  # shares of the drops
TAIL_OFFSET, TAIL_RADIUS = 0.75, 0.6  # radii
OUTLINE = 0.08  # deviation of the outline from the ellipse, as a share of the radius
RIM, GAIN, GLINT = 0.3, 0.95, 0.6
EDGE_PX = 1.2
_UNITS = 10  # uniforms per drop


@dataclass
class Pane:
    """The effect of the glass on each pixel: origin of its light, opacity, shade and glint, all (H, W)."""

    rows: Array
    columns: Array
    alpha: Array
    shade: Array
    glint: Array

    @classmethod
    def dry(cls, height: int, width: int) -> Pane:
        """Make a pane without drops."""
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        return cls(rows, columns, *(np.full((height, width), v, np.float32) for v in (0, 1, 0)))

    def add(self, unit: Array, radius: float) -> None:
        """Put a drop of `radius` px on the pane; where drops overlap, the thicker one is seen.

        unit: uniform numbers for row, column, size (used by the caller), stretch, minification, tail, glint,
        and the outline's three phases.
        """
        height, width = self.alpha.shape
        row, column = unit[0] * height - 0.5, unit[1] * width - 0.5
        stretch, zoom = within(unit[3], STRETCH), within(unit[4], MINIFICATION)
        reach = math.ceil(radius * 1.2)
        top = max(0, math.floor(row - 1.3 * stretch * reach))
        bottom = math.ceil(row + stretch * reach) + 1
        left, right = max(0, math.floor(column - reach)), math.ceil(column + reach) + 1
        window = (slice(top, bottom), slice(left, right))
        if self.alpha[window].size == 0:
            return
        down = ((np.arange(top, min(bottom, height)) - row) / (radius * stretch))[:, None].astype(np.float32)
        across = ((np.arange(left, min(right, width)) - column) / radius)[None].astype(np.float32)
        q = self._outline(down, across, unit)
        thickness = np.clip(2.5 * np.sqrt(np.maximum(1 - q, 0)), 0, 1)
        thicker = thickness > self.alpha[window]
        shade = GAIN * (1 - RIM * np.clip(q, 0, 1) ** 4)
        glint = np.zeros_like(q)
        if unit[6] < SPECULAR:
            glint = GLINT * np.exp(-((down + 0.4) ** 2 + (across + 0.35) ** 2) / (2 * 0.13**2))
        seen = (
            (self.rows, row - zoom * down * radius),
            (self.columns, column - zoom * across * radius),
            (self.alpha, thickness),
            (self.shade, shade),
            (self.glint, glint),
        )
        for plane, values in seen:
            plane[window] = np.where(thicker, values, plane[window])

    @staticmethod
    def _outline(down: Array, across: Array, unit: Array) -> Array:
        """Return q, which is below 1 inside a drop and 1 on its outline; (H, W) from (H, 1) and (1, W)."""
        turn = np.arctan2(down, across)
        wobble = sum(np.cos(k * turn + 2 * math.pi * unit[7 + k - 2]) / k for k in (2, 3, 4))
        q = (down**2 + across**2) * (1 + OUTLINE * wobble) ** 2
        if unit[5] < TAILED:
            tail = ((down + TAIL_OFFSET) ** 2 + across**2) / TAIL_RADIUS**2
            q = -np.logaddexp(-6 * q, -6 * tail) / 6  # a smooth minimum, without a notch between the circles
        return np.asarray(q)


class Raindrop:
    """Drops blended over the image: y = (1 - alpha) x + alpha drop."""

    def __init__(self, options: options.Raindrop, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Add drops; the map `alpha` is their opacity in [0, 1]."""
        height, width = clean.shape[:2]
        factor = scale(height, width)
        given, level = self.options, at(severity, LEVELS)
        # The counts hold for photographs whose scale is not clamped; for others, the drops per px stay the same.
        crowd = (min(height, width) / (REFERENCE_SIDE * factor)) ** 2
        most = math.ceil(crowd * LEVELS[-1].count[1])
        unit_count, units = rng.random(), rng.random((max(most, given.count or 0), _UNITS))
        count = explicit_or(given.count, math.ceil(crowd * within(unit_count, level.count)))
        radii = level.radius if given.radius is None else (given.radius, given.radius)
        blur = explicit_or(given.blur, level.blur)

        pane = Pane.dry(height, width)
        for unit in units[:count]:
            pane.add(unit, within(unit[2], radii) * factor)
        alpha = gaussian_blur(pane.alpha, EDGE_PX * factor)
        image = clean + alpha[:, :, None] * (self._through(clean, pane, blur * factor) - clean)
        parameters = {"count": count, "radius": list(radii), "blur": blur}
        return Degraded(finished(image), parameters, {"alpha": alpha})

    @staticmethod
    def _through(clean: Image, pane: Pane, blur_px: float) -> Array:
        """Return the scene as seen through the drops, (H, W, 3); outside drops, the blurred scene."""
        seen = gaussian_blur(clean, blur_px)
        wet = pane.alpha > 0
        origins = np.stack([pane.rows[wet], pane.columns[wet]])
        for channel in range(3):
            refracted = map_coordinates(seen[:, :, channel], origins, order=1, mode="reflect")
            seen[:, :, channel][wet] = refracted * pane.shade[wet] + pane.glint[wet]
        return seen
