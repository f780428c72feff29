"""What training of the stages is told, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from restorebench.training.config import Training
from restorebench_textualdegrem.options import UNTRAINED, BackboneFiles, Published, Untrained
from restorebench_textualdegrem.words import WORDS


class _Drawing(Training):
    """What the two mappers have in common: they learn by what Stable Diffusion would draw."""

    backbones: BackboneFiles = Field(description="the Stable Diffusion and the CLIP that stay as they are")
    patch: int = Field(512, ge=16, multiple_of=8, description="side of what is drawn in px")
    turn: bool = Field(False, description="flip and transpose patches at random")


class MapperTraining(_Drawing):
    """Stage one: words that make Stable Diffusion draw what CLIP sees, degraded as it is."""

    average: None = Field(None, description="none: half of what learns is the U-Net's own")
    words: int = Field(WORDS, ge=1, le=72, description="pseudo-words")


class CleanMapperTraining(_Drawing):
    """Stage two: from the words of a degraded image to words that draw the clean one."""

    mapper: Path | None = Field(None, description="file of the Mapper; none fits `stable_diffusion: untrained`")

    @model_validator(mode="after")
    def _has_its_mapper(self) -> Self:
        if (self.mapper is None) != (self.backbones.stable_diffusion == UNTRAINED):
            raise ValueError("mapper: a Stable Diffusion needs one, and the untrained one has its own")
        return self


class GuidedTraining(Training):
    """Stage three: a network that restores an image beside its guidance."""

    backbone: Literal["restormer", "nafnet", "promptir"]
    size: Literal["published", "tiny"] = Field("published", description="`tiny` is for trying out")
    offsets: bool = Field(
        True, description="of Restormer's normalisation; false for Gaussian noise alone, as published"
    )
    patch: int = Field(384, ge=8, multiple_of=4, description="side of the training patches in px")
    turn: bool = Field(True, description="flip and transpose patches at random; never the guidance")
    guidance: Path | None = Field(
        None,
        description="folder of TASK/STEM.png for every pair, or STEM.png for all tasks, all of one size; else "
        "the degraded patch itself",
    )
    alike: Literal["pixels"] | Published | Untrained | Path = Field(
        "published",
        description="what finds the part of the guidance that a patch sees: DINOv2 ViT-B/14, downloaded or from a "
        "folder as transformers keeps it; `untrained`, a tiny random one; or `pixels`",
    )
    validation_guidance: Path | None = Field(None, description="as `guidance`; by default the same folder")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.guidance is None and self.validation_guidance is not None:
            raise ValueError("validation_guidance: give `guidance` too")
        if not self.offsets and self.backbone != "restormer":
            raise ValueError(f"offsets: those of {self.backbone} are always there")
        return self
