"""The configuration of each training stage, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from restorebench.training.config import Training
from restorebench_daclip.options import Published, Untrained
from restorebench_daclip.tower import BLOCK, HEAD

TOWER = "tower"


class RestorerTraining(Training):
    """Training of the U-Net under a frozen controller."""

    patch: int = Field(256, ge=16, description="side of the training patches in px")
    turn: bool = Field(True, description="flip and transpose patches at random")
    controller: Published | Untrained | Path = Field(
        "universal-ir", description="controller of published weights, a file, or `untrained`"
    )
    features: int = Field(64, ge=8, multiple_of=8)
    multipliers: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field((1, 2, 4, 8), min_length=1)
    degradation_context: bool = True
    attention_from: int = Field(
        0, ge=0, description="the first level with attention; the last level always has it"
    )
    scale: float = Field(
        1.0, ge=0.5, le=1, multiple_of=0.5, description="0.5 works at half resolution, as the wild variant does"
    )
    prediction: Literal["noise", "data"] = "noise"
    loss: Literal["l1", "l2"] = "l1"
    spectrum: float = Field(0, ge=0, description="weight of the distance between spectra; data head only")
    start_share: float = Field(0, ge=0, lt=1, description="share of samples that always take the last step, T")
    context: Literal["patch", "whole"] = Field(
        "patch", description="what the controller sees of a degraded image; the published training uses the patch"
    )
    steps: int = Field(100, ge=1, le=10_000, description="steps of the schedule")
    max_sigma: float = Field(50, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> RestorerTraining:
        widths = [self.features * multiplier for multiplier in (1, *self.multipliers)]
        if any(width % 32 for width in widths[-2:]):
            raise ValueError(
                f"multipliers: the last two levels are {widths[-2:]} wide; both must be multiples of 32"
            )
        if self.attention_from >= len(self.multipliers):
            raise ValueError(f"attention_from: the last level, {len(self.multipliers) - 1}, always has attention")
        if self.spectrum and self.prediction != "data":
            raise ValueError("spectrum: only the data head gives an image with a spectrum; set `prediction: data`")
        return self


class TowerTraining(Training):
    """Training of a small visual tower in place of a CLIP: two views of one clean photograph should be alike."""

    image_size: int = Field(256, ge=16)
    patch_size: int = Field(16, ge=BLOCK, multiple_of=BLOCK)
    width: int = Field(128, ge=HEAD, multiple_of=HEAD)
    layers: int = Field(4, ge=1)
    embedding: int = Field(64, ge=8)
    minimum_crop: float = Field(0.2, gt=0, le=1, description="smallest share of an image that a view keeps")
    jitter: float = Field(
        0.4, ge=0, lt=1, description="greatest change of a view's brightness; half of it for colours"
    )
    temperature: float = Field(0.1, gt=0, description="temperature of the contrastive loss")


class ControllerTraining(Training):
    """Training of the controller of a frozen CLIP."""

    model: str = Field(
        "ViT-B-32",
        description="architecture in open_clip, or `tower`, which has no language and learns a vector per word",
    )
    pretrained: Path | Literal["untrained"] = Field(description="file of the CLIP's weights, or of the tower's")
    crop: Literal["whole", "native"] = Field(
        "whole", description="`whole` squeezes a random crop into the view; `native` cuts the view out unscaled"
    )
    captions: Path | None = Field(None, description="table of filepath and `caption: degradation`, tab-separated")
    content_weight: float = Field(1, gt=0, description="weight of the content term; the degradation term has 1")
    clean_content: bool = Field(
        False,
        description="without captions: the target of the content feature is the CLIP's feature of the clean image",
    )
    loss: Literal["contrastive", "supervised"] = Field(
        "contrastive",
        description="loss of degradations; `contrastive` treats equal words in a batch as different, as published",
    )
    upstream_init: bool = Field(
        False, description="start with one link filled from a layer norm, as the published trainer does"
    )
    minimum_crop: float = Field(0.9, gt=0, le=1, description="smallest share of an image that a random crop keeps")

    @model_validator(mode="after")
    def _fits(self) -> ControllerTraining:
        if self.clean_content and self.captions is not None:
            raise ValueError("clean_content: captions say what the content is; set only one of the two")
        if self.model == TOWER and (self.loss != "supervised" or self.captions is not None):
            raise ValueError("model: a tower has no language; set `loss: supervised`, and no captions")
        return self
