"""What a suite may set. Importing this brings no torch, so that `restorebench list --verbose` stays quick."""

from __future__ import annotations

from pydantic import Field

from restorebench.toolbox.options import PluginOptions


class Options(PluginOptions):
    """How much to blur."""

    sigma: float = Field(1.0, gt=0, le=20, description="standard deviation of the blur in pixels")
