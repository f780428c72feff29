"""Motion blur: the camera walks along a smooth random path while the shutter is open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import SPLAT_VARIANCE, Array, finished, scale, splat
from restorebench_degradations.levels import at, explicit_or, within
from restorebench_degradations.light import to_display, to_linear

if TYPE_CHECKING:
    from restorebench import Image

LENGTHS_PX = (7, 13, 19, 27, 37)
BEND = (0.3, 1.5)
STEPS = 200


def blur_kernel(length_px: float, heading: float, bend: float, walk: Array) -> Array:
    """Splat a path of constant speed into a square kernel of odd side, float64, of sum 1.

    heading: start direction in radians; bend * walk is added along the path, with walk a Brownian motion over
    [0, 1]. The path's centre of mass is on the middle pixel, as PSNR would otherwise measure a shift. The splat
    adds to the path's spread, so the path is shortened by that: otherwise, a small photograph would lose up to
    2 dB more by the blur than the same photograph enlarged.
    """
    direction = heading + bend * walk
    rows = np.cumsum(np.sin(direction)) * length_px / STEPS
    columns = np.cumsum(np.cos(direction)) * length_px / STEPS
    rows, columns = rows - rows.mean(), columns - columns.mean()
    spread = float(rows.var() + columns.var())
    shrunk = math.sqrt(max(0.0, 1 - 2 * SPLAT_VARIANCE / spread))
    rows, columns = rows * shrunk, columns * shrunk
    radius = math.ceil(max(np.abs(rows).max(), np.abs(columns).max()))
    side = 2 * radius + 1
    return splat(rows + radius, columns + radius, np.full(STEPS, 1 / STEPS), side, side)


class MotionBlurry:
    """Motion blur: linear light is convolved with the kernel of a random path."""

    def __init__(self, options: options.MotionBlurry, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Blur; the map `kernel` is the kernel, correctly centred."""
        height, width = clean.shape[:2]
        random_heading, random_bend = within(rng.random(), (0, 2 * math.pi)), within(rng.random(), BEND)
        walk = np.cumsum(rng.standard_normal(STEPS)) / math.sqrt(STEPS)
        given = self.options
        length = explicit_or(given.length, float(at(severity, LENGTHS_PX))) * scale(height, width)
        heading = random_heading if given.heading is None else math.radians(given.heading)
        bend = explicit_or(given.bend, random_bend)
        kernel = blur_kernel(length, heading, bend, walk).astype(np.float32)

        radius = kernel.shape[0] // 2
        padded = np.pad(to_linear(clean), ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
        image = to_display(fftconvolve(padded, kernel[:, :, None], mode="valid", axes=(0, 1)))
        if given.noise:
            image = image + rng.standard_normal(clean.shape, dtype=np.float32) * (given.noise / 255)
        parameters = {"length_px": length, "heading": math.degrees(heading), "bend": bend, "noise": given.noise}
        return Degraded(finished(image), parameters, {"kernel": kernel})
