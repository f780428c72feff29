"""The options of the reports."""

from __future__ import annotations

from pydantic import Field

from restorebench.toolbox.options import PluginOptions


class LatexOptions(PluginOptions):
    """The options of `latex`."""

    intervals: bool = Field(False, description="also give the interval of each score, below it")
    tasks_down: bool = Field(False, description="a line per task and a column per restorer, not the other way")
