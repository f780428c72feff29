"""The options of the figures."""

from __future__ import annotations

from pydantic import Field

from restorebench.toolbox.options import PluginOptions

PADDING = 2
"""The margin around a figure, in pixels."""


class FigureOptions(PluginOptions):
    """What every figure takes."""

    width: float = Field(180, ge=60, le=600, description="width in millimetres; a column of a paper has about 88")

    @property
    def pixels(self) -> float:
        """The width between the margins, in pixels of 1/96 inch."""
        return self.width * 96 / 25.4 - 2 * PADDING - 1  # frames stand out by half a pixel on both sides


class ConfusionOptions(FigureOptions):
    """The options of `confusion`."""

    task: str | None = Field(None, description="only this true task")
    rows: tuple[str, ...] = Field((), description="only these detectors, by label; all by default")


class ReliabilityOptions(FigureOptions):
    """The options of `reliability`."""

    rows: tuple[str, ...] = Field((), description="only these detectors, by label; all by default")


class RadarOptions(FigureOptions):
    """The options of `radar`."""

    metric: str | None = Field(None, description="a metric or column; by default the first that ranks")
    rows: tuple[str, ...] = Field((), description="only these rows, as NAME or NAME:TELL; all by default")


class BoardOptions(RadarOptions):
    """The options of `gains`, `severity` and `cost`."""

    task: str | None = Field(None, description="only this task, or average; all by default")


class ImagesOptions(BoardOptions):
    """The options of `images`."""

    rows: tuple[str, ...] = Field((), description="the two rows: the first across, the second up")
