"""Missing regions: thick strokes, filled with white."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import REFERENCE_SIDE, Array, finished, scale
from restorebench_degradations.levels import at, explicit_or, within

if TYPE_CHECKING:
    from restorebench import Image

AREAS = ((0.05, 0.15), (0.15, 0.25), (0.25, 0.35), (0.35, 0.45), (0.45, 0.6))
TOLERANCE = 0.005
VERTICES = (2, 6)
TURN = (-2.0, 2.0)  # radians
SEGMENT_AT_256, WIDTH_AT_256 = (20.0, 90.0), (6.0, 22.0)  # px
_MASK_SIDE = 256
_BISECTIONS = 8


class Strokes:
    """A mask to which strokes are added until the wanted area is missing.

    With the same generator, a larger area contains a smaller one, except for a few pixels at the end of a cut
    stroke.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        self.canvas = Pillow.new("L", (width, height))
        self.rng = rng
        self.factor = scale(height, width) * REFERENCE_SIDE / _MASK_SIDE

    def mask(self, area: float) -> Array:
        """Draw strokes until the missing fraction is `area`; return the mask, (H, W) bool.

        The last stroke is cut where the area is reached, so the result is within `TOLERANCE` if a single dab of
        the pen is smaller than that. On tiny images it is not, and the result stays below `area`.
        """
        while self._missing(self.canvas) < area - TOLERANCE:
            path, pen = self._path()
            longer = self._with(path, pen, 1.0)
            if self._missing(longer) > area:
                longer = self._cut(path, pen, area)
                if self._missing(longer) <= self._missing(self.canvas):
                    break
            self.canvas = longer
        return np.asarray(self.canvas) > 0

    def _path(self) -> tuple[Array, int]:
        """Draw the vertices, (N, 2) as x and y in px, and the width in px of one stroke."""
        count = int(self.rng.integers(VERTICES[0], VERTICES[1] + 1))
        unit = self.rng.random((VERTICES[1], 2))
        start = self.rng.random(2) * self.canvas.size
        first, pen_unit = self.rng.random(2)
        turns = TURN[0] + unit[: count - 1, 0] * (TURN[1] - TURN[0])
        heading = 2 * math.pi * first + np.cumsum(turns)
        lengths = SEGMENT_AT_256[0] + unit[: count - 1, 1] * (SEGMENT_AT_256[1] - SEGMENT_AT_256[0])
        steps = lengths[:, None] * self.factor * np.stack([np.cos(heading), np.sin(heading)], -1)
        path = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
        return path, max(1, round(within(pen_unit, WIDTH_AT_256) * self.factor))

    def _with(self, path: Array, pen: int, share: float) -> Pillow.Image:
        """Return the canvas with the first `share` of a stroke, without anti-aliasing."""
        lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        end = share * lengths[-1]
        stop = np.array([np.interp(end, lengths, path[:, axis]) for axis in (0, 1)])
        points = [tuple(point) for point in path[lengths < end]] + [tuple(stop)]
        canvas = self.canvas.copy()
        pencil = ImageDraw.Draw(canvas)
        pencil.line(points, fill=255, width=pen)
        for x, y in points:  # round ends and joints
            pencil.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
        return canvas

    def _cut(self, path: Array, pen: int, area: float) -> Pillow.Image:
        """Return the canvas with the longest part of a stroke that keeps the missing fraction at most `area`."""
        low, high, best = 0.0, 1.0, self.canvas
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            canvas = self._with(path, pen, middle)
            if self._missing(canvas) > area:
                high = middle
            else:
                low, best = middle, canvas
        return best

    @staticmethod
    def _missing(canvas: Pillow.Image) -> float:
        return float(np.count_nonzero(np.asarray(canvas))) / (canvas.width * canvas.height)


class Uncompleted:
    """Strokes replaced by one value: y = (1 - m) x + m fill."""

    def __init__(self, options: options.Uncompleted, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Cut strokes out; the map `mask` is 1 where content is missing."""
        unit_area, child = rng.random(), int(rng.integers(2**63))
        area = explicit_or(self.options.area, within(unit_area, at(severity, AREAS)))
        # The number of strokes depends on the area, so they draw from their own generator: `rng` always
        # advances equally.
        strokes = Strokes(*clean.shape[:2], np.random.Generator(np.random.Philox(child)))
        missing = strokes.mask(area)
        image = np.where(missing[:, :, None], np.float32(self.options.fill), clean)
        parameters = {"area": area, "missing": float(missing.mean()), "fill": self.options.fill}
        return Degraded(finished(image), parameters, {"mask": missing.astype(np.float32)})
