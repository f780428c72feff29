"""Rain: bright streaks added to the image, in one to five directions."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import Array, finished, gaussian_blur, splat_sigma
from restorebench_degradations.hazy import veil
from restorebench_degradations.levels import Range, at, explicit_or, within
from restorebench_degradations.particles import Sky

if TYPE_CHECKING:
    from restorebench import Image


@dataclass(frozen=True)
class Level:
    """One severity. density: per px and layer; length and width (sigma) in px, all at scale 1."""

    layers: int
    density: float
    length: Range
    strength: float
    width: float


LEVELS = (
    Level(1, 0.0024, (12, 20), 0.5, 0.4),
    Level(1, 0.0064, (15, 25), 0.6, 0.44),
    Level(2, 0.0056, (15, 30), 0.7, 0.51),
    Level(3, 0.0048, (20, 35), 0.75, 0.51),
    Level(5, 0.004, (20, 40), 0.8, 0.61),
)
LAYERS, SUBLAYERS = 5, 3
SPREAD, JITTER = (-25.0, 25.0), (-2.0, 2.0)  # degrees
AMPLITUDES = (0.3, 1.0)
MARGIN = 20  # half of the longest streak of any severity; more for longer or wider streaks in the options
VEIL_BETA = 0.4


def profile_gain(width_px: float) -> float:
    """Return the factor that gives a blurred line of density 1 a peak near 1.

    The pixel grid widens thin lines. Their peak is lowered so that their squared error is the one of a line of the
    wanted width, and an enlarged photograph keeps its PSNR.
    """
    real = splat_sigma(width_px)
    return math.sqrt(2 * math.pi) * real * math.sqrt(width_px / real)


class Rainy:
    """Rain streaks added to the image: y = clip(x + a R)."""

    def __init__(self, options: options.Rainy, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Add rain; the map `streaks` is R in [0, 1]."""
        level = self._level(severity)
        given = self.options
        reach = (given.length or 0) / 2 + 3 * (given.width or 0)
        sky = Sky(*clean.shape[:2], margin=max(MARGIN, reach))
        streaks, angles = self._streaks(sky, level, rng)
        image = clean + np.float32(level.strength) * streaks[:, :, None]
        maps = {"streaks": streaks}
        if self.options.heavy:
            image, maps["transmission"] = veil(clean, np.clip(image, 0, 1), VEIL_BETA, rng)
        parameters: dict[str, Any] = {  # Any: numbers and lists of them
            **asdict(level),
            "length": list(level.length),
            "angles": angles,
            "heavy": self.options.heavy,
        }
        return Degraded(finished(image), parameters, maps)

    def _level(self, severity: int) -> Level:
        """Return the severity's parameters, replaced by explicit options where there are any."""
        decided, given = at(severity, LEVELS), self.options
        explicit = given.model_dump(
            exclude_none=True, include={"layers", "density", "length", "strength", "width"}
        )
        if given.length is not None:
            explicit["length"] = (given.length, given.length)
        return replace(decided, **explicit)

    def _streaks(self, sky: Sky, level: Level, rng: np.random.Generator) -> tuple[Array, list[float]]:
        """Draw R, (H, W) float32 in [0, 1], and the angle of each layer in degrees."""
        densest = max(level.density, *(each.density for each in LEVELS)) / SUBLAYERS
        angle_units, jitter_units, length_units = (
            rng.random(LAYERS),
            rng.random((LAYERS, SUBLAYERS)),
            rng.random((LAYERS, SUBLAYERS)),
        )
        seeds = [
            [sky.draw(rng, densest) for _ in range(SUBLAYERS)] for _ in range(LAYERS)
        ]  # always all, whatever the severity
        angles = [
            explicit_or(self.options.angle, 90 + within(unit, SPREAD)) for unit in angle_units[: level.layers]
        ]
        canvas: Array = np.zeros(sky.canvas)
        for layer, angle in enumerate(angles):
            for sublayer in range(SUBLAYERS):
                chosen = seeds[layer][sublayer][: sky.count(level.density / SUBLAYERS)]
                amplitudes = AMPLITUDES[0] + chosen[:, 2] * (AMPLITUDES[1] - AMPLITUDES[0])
                length_px = within(length_units[layer, sublayer], level.length) * sky.scale
                direction = math.radians(angle + within(jitter_units[layer, sublayer], JITTER))
                canvas = canvas + sky.segments(chosen, amplitudes, length_px, direction)
        width_px = level.width * sky.scale
        blurred = gaussian_blur(canvas.astype(np.float32), width_px) * profile_gain(width_px)
        return np.clip(sky.crop(blurred), 0, 1).astype(np.float32), angles
