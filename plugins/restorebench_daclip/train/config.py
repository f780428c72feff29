"""What training of each stage is told, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from restorebench.training.config import Training
from restorebench_daclip.options import Published, Untrained
from restorebench_daclip.tower import BLOCK, HEAD

TOWER = "tower"


class RestorerTraining(Training):
    """The U-Net under a frozen controller."""

    patch: int = Field(256, ge=16, description="side of the training patches in px")
    turn: bool = Field(True, description="flip and transpose patches at random")
    controller: Published | Untrained | Path = Field(
        "universal-ir", description="controller of published weights, a file, or `untrained`"
    )
    features: int = Field(64, ge=8, multiple_of=8)
    multipliers: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field((1, 2, 4, 8), min_length=1)
    degradation_context: bool = True
    attention_from: int = Field(0, ge=0, description="the first level with attention; its last one has it always")
    scale: float = Field(
        1.0, ge=0.5, le=1, multiple_of=0.5, description="0.5 works at half resolution, as the wild variant does"
    )
    prediction: Literal["noise", "data"] = "noise"
    loss: Literal["l1", "l2"] = "l1"
    spectrum: float = Field(0, ge=0, description="weight of the distance of spectra; of the data head")
    start_share: float = Field(0, ge=0, lt=1, description="how many steps are drawn as the last one, T")
    context: Literal["patch", "whole"] = Field(
        "patch", description="what the controller sees of a degraded image; as published, the patch"
    )
    steps: int = Field(100, ge=1, le=10_000, description="of the schedule")
    max_sigma: float = Field(50, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> RestorerTraining:
        widths = [self.features * multiplier for multiplier in (1, *self.multipliers)]
        if any(width % 32 for width in widths[-2:]):
            raise ValueError(f"multipliers: the last two levels are {widths[-2:]} wide, no multiples of 32")
        if self.attention_from >= len(self.multipliers):
            raise ValueError("attention_from: the last level has attention always")
        if self.spectrum and self.prediction != "data":
            raise ValueError("spectrum: only the data head has an image whose spectrum can be compared")
        return self


class TowerTraining(Training):
    """A small visual tower, which stands in for a CLIP: two views of one clean photograph are alike."""

    image_size: int = Field(256, ge=16)
    patch_size: int = Field(16, ge=BLOCK, multiple_of=BLOCK)
    width: int = Field(128, ge=HEAD, multiple_of=HEAD)
    layers: int = Field(4, ge=1)
    embedding: int = Field(64, ge=8)
    minimum_crop: float = Field(0.2, gt=0, le=1, description="least share of an image that a view keeps")
    jitter: float = Field(0.4, ge=0, lt=1, description="greatest change of a view's brightness, and half for hue")
    temperature: float = Field(0.1, gt=0, description="of the contrast")


class ControllerTraining(Training):
    """The controller of a frozen CLIP."""

    model: str = Field(
        "ViT-B-32", description="architecture in open_clip, or `tower`: no language, and words are learned"
    )
    pretrained: Path | Literal["untrained"] = Field(description="file of the CLIP's weights, or of the tower's")
    crop: Literal["whole", "native"] = Field(
        "whole", description="`whole` squeezes a random crop into the view; `native` cuts the view out"
    )
    captions: Path | None = Field(None, description="table of filepath and `caption: degradation`, tab-separated")
    content_weight: float = Field(1, gt=0, description="of the content term beside the degradation term")
    clean_content: bool = Field(
        False, description="without captions: the content feature learns that of the clean image under the CLIP"
    )
    loss: Literal["contrastive", "supervised"] = Field(
        "contrastive",
        description="for degradations; `contrastive` treats equal words in a batch as strangers, as published",
    )
    upstream_init: bool = Field(
        False, description="start with one link filled from a layer norm, as the published trainer does"
    )
    minimum_crop: float = Field(0.9, gt=0, le=1, description="least share of an image that a random crop keeps")

    @model_validator(mode="after")
    def _fits(self) -> ControllerTraining:
        if self.clean_content and self.captions is not None:
            raise ValueError("clean_content: captions say what the content is; give one of them")
        if self.model == TOWER and (self.loss != "supervised" or self.captions is not None):
            raise ValueError("model: a tower has no language: loss must be supervised, and no captions")
        return self
