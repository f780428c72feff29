"""Options of the detectors."""

from __future__ import annotations

from pydantic import Field

from restorebench.toolbox.options import PluginOptions, Temperature


class StatisticsOptions(PluginOptions):
    """How sure the detector is."""

    temperature: Temperature = 1.0


class ConstantOptions(PluginOptions):
    """What the detector says."""

    labels: list[str] = Field([], description="the tasks that it names, whatever it sees; none of them abstains")
