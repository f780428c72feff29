"""Options of the detectors."""

from __future__ import annotations

from pydantic import Field

from restorebench.toolbox.options import PluginOptions, Temperature


class StatisticsOptions(PluginOptions):
    """Options of the detector `statistics`."""

    temperature: Temperature = 1.0


class ConstantOptions(PluginOptions):
    """Options of the detector `constant`."""

    labels: list[str] = Field([], description="labels that every image gets; without any, the detector abstains")


class RandomOptions(PluginOptions):
    """Options of the detector `random`."""

    seed: int = Field(0, description="another number gives every image another label, with a chance of 9 in 10")
