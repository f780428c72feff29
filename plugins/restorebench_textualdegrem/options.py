"""The options of the three restorers, and of the generation of guidance."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from restorebench.toolbox.options import PluginOptions

UNTRAINED = "untrained"
Untrained = Literal["untrained"]
Published = Literal["published"]
Precision = Literal["fp32", "bf16", "fp16"]

STEPS = 100
SCALE = 5.0
"""Defaults of the published script. SCALE is that of classifier-free guidance: 1 gives the prompt's own noise."""


class BackboneFiles(PluginOptions):
    """The sources of Stable Diffusion and CLIP."""

    _files: ClassVar[tuple[str, ...]] = ("clip",)

    stable_diffusion: Literal["untrained", "published"] | Path = Field(
        description="folder of Stable Diffusion 2.1-base in diffusers' layout, `published` to download it, or "
        "`untrained`: a tiny random one"
    )
    clip: Published | Path | None = Field(
        None,
        description="folder of CLIP ViT-H/14 (laion2B) in transformers' layout, or `published` to download it",
    )

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        """Refuse files for the untrained Stable Diffusion, and missing files for any other."""
        given = [name for name in self._files if getattr(self, name) is not None]
        if self.stable_diffusion == UNTRAINED and given:
            raise ValueError(f"`{given[0]}` does not fit `stable_diffusion: untrained`, which has its own")
        if self.stable_diffusion != UNTRAINED and len(given) < len(self._files):
            missing = next(name for name in self._files if name not in given)
            raise ValueError(f"`{missing}` is missing: a Stable Diffusion needs {', '.join(self._files)}")
        return self


class Generation(BackboneFiles):
    """How Stable Diffusion generates guidance images."""

    _files = ("clip", "mapper", "clean_mapper")

    mapper: Path | None = Field(None, description="file of the Mapper, with the projections of cross-attention")
    clean_mapper: Path | None = Field(None, description="file of the CleanMapper")
    steps: int = Field(STEPS, ge=1, lt=1000, description="steps of DDIM")
    scale: float = Field(SCALE, ge=0, allow_inf_nan=False, description="scale of classifier-free guidance")
    seed: int = Field(42, ge=0, lt=2**63, description="seed of the noise, which is the same for every image")
    precision: Precision = Field("fp32", description="precision of all parts; fp16 as published, on a GPU")


class GuidedRestoration(PluginOptions):
    """Options of a network that gets a second image."""

    weights: Untrained | Path = Field(
        description="file of the network's weights, or `untrained`: a tiny random one"
    )
    guidance: Literal["degraded", "folder", "stable-diffusion"] = Field(
        "degraded",
        description="the second image: the degraded one itself, one from a folder, or one generated from it,"
        " as published",
    )
    guidance_folder: Path | None = Field(
        None, description="folder with TASK/ID.png for every image, or ID.png if one serves all tasks; any size"
    )
    generation: Generation | None = Field(None, description="how guidance is generated")
    precision: Precision = Field(
        "fp32", description="precision of all but the pyramid, the matching and the last convolution"
    )

    @model_validator(mode="after")
    def _generates_what_it_uses(self) -> Self:
        """Refuse sources of guidance that are not used, and guidance without its source."""
        needs = (
            ("stable-diffusion", "generation", self.generation, "where its parts are"),
            ("folder", "guidance_folder", self.guidance_folder, "where its images are"),
        )
        for guidance, name, given, what in needs:
            if self.guidance == guidance and given is None:
                raise ValueError(f"`guidance: {guidance}` needs `{name}`: {what}")
            if self.guidance != guidance and given is not None:
                raise ValueError(
                    f"`{name}` has no effect with `guidance: {self.guidance}`; set `guidance: {guidance}`"
                )
        return self
