"""Options of the CLIP detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from restorebench.toolbox.options import PluginOptions, Temperature

Untrained = Literal["untrained"]
UNTRAINED = "untrained"
TEMPLATES = ("{}", "a {} photo", "a photo of a {} scene", "a photo that is {}")
Sentences = Annotated[tuple[str, ...], Field(min_length=1)]


class Backbone(PluginOptions):
    """The CLIP, and the part of an image that it gets."""

    model: str = Field("ViT-B-32", description="architecture, by its name in open_clip")
    pretrained: str = Field(
        "laion2b_s34b_b79k",
        description="tag of open_clip: the weights and their network's settings; a file of weights needs one too",
    )
    weights: Untrained | Path | None = Field(
        None,
        description="a file of weights in place of a download, or `untrained`: random weights, an eighth as wide",
    )
    crop: Literal["center", "whole"] = Field(
        "center", description="a centred square, or the whole image squeezed into a square"
    )


class ZeroShotOptions(Backbone):
    """Options of the zero-shot detector."""

    templates: Sentences = Field(
        TEMPLATES, description="sentences with {} for a task's words; their features are averaged"
    )
    prompts: dict[str, Sentences] = Field(
        default_factory=dict,
        description="words for a task, in place of its own prompt; their features are averaged",
    )
    temperature: Temperature = 0.01  # of cosines, as CLIP was trained
    least: float = Field(0, ge=0, le=1, description="abstain if no task is at least this probable")


class ProbeOptions(Backbone):
    """Options of the linear probe."""

    probe: Path = Field(
        description="coefficients that `python -m restorebench_clip.probe` wrote for the same CLIP"
    )
    temperature: Temperature = 1.0
    least: float = Field(0, ge=0, le=1, description="abstain if no task is at least this probable")
