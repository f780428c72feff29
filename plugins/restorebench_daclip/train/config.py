"""What training of either stage is told, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from restorebench.training.config import Training
from restorebench_daclip.options import Published, Untrained


class RestorerTraining(Training):
    """The U-Net under a frozen controller."""

    patch: int = Field(256, ge=16, description="side of the training patches in px")
    turn: bool = Field(True, description="flip and transpose patches at random")
    controller: Published | Untrained | Path = Field(
        "universal-ir", description="controller of published weights, a file, or `untrained`"
    )
    features: int = Field(64, ge=32, multiple_of=32)
    multipliers: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field((1, 2, 4, 8), min_length=1)
    degradation_context: bool = True
    scale: float = Field(
        1.0, ge=0.5, le=1, multiple_of=0.5, description="0.5 works at half resolution, as the wild variant does"
    )
    prediction: Literal["noise", "data"] = "noise"
    loss: Literal["l1", "l2"] = "l1"
    steps: int = Field(100, ge=1, le=10_000, description="of the schedule")
    max_sigma: float = Field(50, gt=0)


class ControllerTraining(Training):
    """The controller of a frozen CLIP."""

    model: str = Field("ViT-B-32", description="architecture in open_clip")
    pretrained: Path | Literal["untrained"] = Field(description="file of the CLIP's weights")
    captions: Path | None = Field(None, description="table of filepath and `caption: degradation`, tab-separated")
    loss: Literal["contrastive", "supervised"] = Field(
        "contrastive",
        description="for degradations; `contrastive` treats equal words in a batch as strangers, as published",
    )
    upstream_init: bool = Field(
        False, description="start with one link filled from a layer norm, as the published trainer does"
    )
    minimum_crop: float = Field(0.9, gt=0, le=1, description="least share of an image that a random crop keeps")
