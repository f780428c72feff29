"""The configuration of each stage of training, as read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from restorebench.training.config import Training
from restorebench_textualdegrem.options import UNTRAINED, BackboneFiles, Published, Untrained
from restorebench_textualdegrem.words import WORDS


class _Drawing(Training):
    """The options that both mappers share; they learn from what Stable Diffusion would draw."""

    backbones: BackboneFiles = Field(description="the Stable Diffusion and the CLIP, which are not trained")
    patch: int = Field(512, ge=16, multiple_of=8, description="side of the drawn images in px")
    turn: bool = Field(False, description="flip and transpose patches at random")


class MapperTraining(_Drawing):
    """Stage one: words that make Stable Diffusion draw the image that CLIP sees, with its degradation."""

    average: None = Field(None, description="not possible: half of the trained weights belong to the U-Net")
    words: int = Field(WORDS, ge=1, le=72, description="number of pseudo-words")


class CleanMapperTraining(_Drawing):
    """Stage two: from the words of a degraded image to words that draw the clean one."""

    mapper: Path | None = Field(
        None, description="file of the Mapper; leave it out with `stable_diffusion: untrained`"
    )

    @model_validator(mode="after")
    def _has_its_mapper(self) -> Self:
        if (self.mapper is None) != (self.backbones.stable_diffusion == UNTRAINED):
            raise ValueError("mapper: a Stable Diffusion needs one, and the untrained one has its own")
        return self


class GuidedTraining(Training):
    """Stage three: a network that restores an image with the help of its guidance."""

    backbone: Literal["restormer", "nafnet", "promptir"]
    size: Literal["published", "tiny"] = Field("published", description="`tiny` is for trying out")
    offsets: bool = Field(
        True, description="offsets in Restormer's normalisation; as published, false only for Gaussian noise"
    )
    patch: int = Field(384, ge=8, multiple_of=4, description="side of the training patches in px")
    turn: bool = Field(True, description="flip and transpose patches at random; never the guidance")
    guidance: Path | None = Field(
        None,
        description="folder with TASK/STEM.png for every pair, or STEM.png for all tasks, all of one size; by "
        "default the degraded patch itself is the guidance",
    )
    alike: Literal["pixels"] | Published | Untrained | Path = Field(
        "published",
        description="how the part of the guidance for a patch is found: by DINOv2 ViT-B/14, downloaded or from a "
        "folder in transformers' layout; by `untrained`, a tiny random one; or by `pixels`",
    )
    validation_guidance: Path | None = Field(
        None, description="`guidance` for validation; by default the same folder"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.guidance is None and self.validation_guidance is not None:
            raise ValueError("validation_guidance: give `guidance` too")
        if not self.offsets and self.backbone != "restormer":
            raise ValueError(f"offsets: {self.backbone} always has offsets; leave this option out")
        return self
