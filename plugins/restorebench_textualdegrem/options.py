"""Options of the three restorers, and of how guidance is generated."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from restorebench.toolbox.options import PluginOptions
from restorebench_textualdegrem.published import SCALE, STEPS

UNTRAINED = "untrained"
Untrained = Literal["untrained"]
Precision = Literal["fp32", "bf16", "fp16"]

_FILES = ("clip", "mapper", "clean_mapper")


class Generation(PluginOptions):
    """How Stable Diffusion makes guidance images."""

    stable_diffusion: Untrained | Path = Field(
        description="folder of Stable Diffusion 2.1-base as diffusers keeps it, or `untrained`: a tiny random one"
    )
    clip: Path | None = Field(None, description="folder of CLIP ViT-H/14 (laion2B) as transformers keeps it")
    mapper: Path | None = Field(None, description="file of the Mapper, with the projections of cross-attention")
    clean_mapper: Path | None = Field(None, description="file of the CleanMapper")
    steps: int = Field(STEPS, ge=1, le=1000, description="of DDIM")
    scale: float = Field(SCALE, ge=0, allow_inf_nan=False, description="of classifier-free guidance")
    seed: int = Field(42, ge=0, description="of the noise, the same for every image")
    precision: Precision = Field("fp32", description="of all of it; fp16 as published, on a GPU")

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        """Hold files to the Stable Diffusion that they belong to."""
        given = [name for name in _FILES if getattr(self, name) is not None]
        if self.stable_diffusion == UNTRAINED and given:
            raise ValueError(f"`{given[0]}` does not fit `stable_diffusion: untrained`, which has its own")
        if self.stable_diffusion != UNTRAINED and len(given) < len(_FILES):
            missing = next(name for name in _FILES if name not in given)
            raise ValueError(f"`{missing}` is missing: a Stable Diffusion needs {', '.join(_FILES)}")
        return self


class GuidedRestoration(PluginOptions):
    """A network that sees a second image."""

    weights: Untrained | Path = Field(
        description="file of the network's weights, or `untrained`: a tiny random one"
    )
    guidance: Literal["degraded", "stable-diffusion"] = Field(
        "degraded",
        description="the second image: the degraded one itself, or one that is generated from it, as published",
    )
    generation: Generation | None = Field(None, description="how guidance is generated")
    precision: Precision = Field(
        "fp32", description="of all but the pyramid, the matching and the last convolution"
    )

    @model_validator(mode="after")
    def _generates_what_it_uses(self) -> Self:
        """Refuse a generation that nobody asked for, and guidance without one."""
        if self.guidance == "stable-diffusion" and self.generation is None:
            raise ValueError("`guidance: stable-diffusion` needs `generation`: where its parts are")
        if self.guidance == "degraded" and self.generation is not None:
            raise ValueError("`generation` does nothing under `guidance: degraded`; say `stable-diffusion`")
        return self
