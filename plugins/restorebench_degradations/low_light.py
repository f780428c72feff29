"""Low light: too short an exposure, with the noise of the sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebench import Degraded
from restorebench_degradations import options
from restorebench_degradations.fields import finished
from restorebench_degradations.levels import at, explicit_or, within
from restorebench_degradations.light import read_variance, sensor_noise, to_display, to_linear

if TYPE_CHECKING:
    from restorebench import Image

EXPOSURES = (0.4, 0.18, 0.08, 0.04, 0.02)
EXPOSURE_SPREAD = (0.85, 1.15)
SHOTS = (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3)
CURVE_PEAK = (0.9, 1.0)
CURVE_GAMMAS = ((1.5, 2.0), (2.0, 2.5), (2.5, 3.2), (3.2, 4.0), (4.0, 5.0))
CURVE_GAINS = ((0.8, 1.0), (0.7, 0.9), (0.5, 0.8), (0.4, 0.7), (0.3, 0.5))


class LowLight:
    """A short exposure: darkening, shot and read noise in linear light, converted back to display values."""

    def __init__(self, options: options.LowLight, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Darken in linear light, or by the display curve b (a x)^g (Lv et al., AGLLNet, IJCV 2021)."""
        unit_exposure, unit_peak, unit_gain, unit_gamma = rng.random(4)
        normal = rng.standard_normal(clean.shape, dtype=np.float32)
        given = self.options
        shot = explicit_or(given.shot, at(severity, SHOTS))
        parameters: dict[str, float | str]
        if given.variant == "linear":
            decided = at(severity, EXPOSURES) * within(unit_exposure, EXPOSURE_SPREAD)
            exposure = explicit_or(given.exposure, decided)
            linear = to_linear(clean) * exposure
            parameters = {"exposure": exposure}
        else:
            peak = within(unit_peak, CURVE_PEAK)
            gain = explicit_or(given.gain, within(unit_gain, at(severity, CURVE_GAINS)))
            gamma = explicit_or(given.gamma, within(unit_gamma, at(severity, CURVE_GAMMAS)))
            linear = to_linear(gain * (peak * clean) ** gamma)
            parameters = {"peak": peak, "gain": gain, "gamma": gamma}
        image = to_display(sensor_noise(linear, shot, normal))
        facts = {"variant": given.variant, **parameters, "shot": shot, "read": read_variance(shot)}
        return Degraded(finished(image), facts)
