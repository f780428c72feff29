"""Options of the restorer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from restorebench.toolbox.options import PluginOptions

UNTRAINED = "untrained"


class CompactRestoration(PluginOptions):
    """Options of the small network that comes with the package."""

    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="precision of all but the last convolution and the positions of deformable convolutions",
    )


class AirNetRestoration(CompactRestoration):
    """Options of AirNet."""

    weights: Literal["all", "denoise", "derain", "dehaze", "untrained"] | Path = Field(
        "all", description="published weights, a file of weights, or `untrained`: a tiny random network"
    )
