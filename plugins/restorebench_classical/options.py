"""Options of the `statistics` detector."""

from __future__ import annotations

from restorebench.toolbox.options import PluginOptions, Temperature


class StatisticsOptions(PluginOptions):
    """How sure the detector is."""

    temperature: Temperature = 1.0
