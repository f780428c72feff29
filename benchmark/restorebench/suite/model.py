"""What a suite may say: its keys, what its lists pick, and its time limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from restorebench.contract.tasks import TEN_NAMES

NOT_DETECTORS = ("nothing", "task")
"""What `tell` may say beside a detector."""


class Strict(BaseModel):
    """A part of a suite: no unknown keys, no values of another kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)  # `seed: '3'` and `save: no` are mistakes


class Limits(Strict):
    """Time limits, enforced by killing the worker."""

    image_seconds: float = Field(300, gt=0, description="longest time for one image")
    load_seconds: float = Field(600, gt=0, description="longest time to load a plugin and its weights")
    plugin_seconds: float | None = Field(None, gt=0, description="longest time for one restorer on one task")


class _Pick(Strict):
    name: str = Field(description="name of the plugin, see `restorebench list`")
    options: dict[str, Any] = Field(default_factory=dict, description="the plugin's own options")


class DatasetPick(_Pick):
    """A dataset, asked for each task of the suite or for those named here."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tasks: list[str] | None = Field(None, description="tasks taken from this dataset; all by default")


class RestorerPick(_Pick):
    """A restorer and what it is told."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tell: str = Field("nothing", description="nothing (blind), task (oracle), or the label or name of a detector")


class DetectorPick(_Pick):
    """A degradation detector for the detector track, and how large it sees the images."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    resize: float = Field(1.0, gt=0, le=4, description="factor by which it sees images resized, bicubic")
    optional: bool = Field(
        False,
        description="leave it out, with a note, where its published weights are not in the cache; nothing is"
        " downloaded for it then",
    )


class Suite(Strict):
    """What is compared on what. Every key but `suite` and `datasets` has a default."""

    suite: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="kebab-case name of the suite")
    version: str = Field("1", description="raise it when results change meaning")
    description: str = Field("", description="one sentence on what the suite compares")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of synthesis and of restorers' noise")
    variables: dict[str, Any] = Field(default_factory=dict, description="values used as ${name}")
    tasks: list[str] = Field(
        default_factory=lambda: list(TEN_NAMES), min_length=1, description="tasks, mixtures as hazy+rainy"
    )
    datasets: list[DatasetPick] = Field(min_length=1, description="where the images come from")
    restorers: list[RestorerPick] = Field(
        default_factory=lambda: [RestorerPick(name="identity")], description="what is compared"
    )
    detectors: list[DetectorPick] = Field(default_factory=list, description="detectors to score")
    metrics: list[str] = Field(
        default_factory=lambda: ["psnr", "ssim"],
        min_length=1,
        description="the first one ranks, unless its card says it never does",
    )
    protocols: list[str] = Field(
        default_factory=lambda: ["rgb"], min_length=1, description="how metrics look at images; see protocols.md"
    )
    clean_inputs: bool = Field(True, description="also feed clean images: what does a restorer break?")
    repetitions: int = Field(1, ge=1, le=100, description="runs of stochastic restorers, other seeds each")
    batch_size: int = Field(1, ge=1, le=1024, description="images of one size restored together")
    threads: int = Field(1, ge=1, le=256, description="CPU threads per worker")
    tile: int | None = Field(None, ge=32, description="tile side in pixels; none restores whole images")
    tile_overlap: int = Field(
        32, ge=0, validate_default=True, description="pixels neighbouring tiles share, fewer than a tile has"
    )
    save: Literal["none", "all"] = Field("none", description="keep restored images for `score`")
    samples: int = Field(0, ge=0, description="degraded/clean/restored triples kept per task to look at")
    limits: Limits = Field(default_factory=Limits, description="time limits in seconds")
    reports: list[str] = Field(
        default_factory=lambda: ["csv", "markdown"], description="reporters that write the tables"
    )

    @field_validator("version", mode="before")
    @classmethod
    def _version_is_text(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError("is a number, and 1.10 would be 1.1; put it in quotes")
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("tile_overlap")
    @classmethod
    def _tiles_advance(cls, overlap: int, info: ValidationInfo) -> int:
        tile = info.data.get("tile")
        if tile is not None and overlap >= tile:
            raise ValueError(f"must be smaller than tile, and is {overlap} of {tile} pixels")
        return overlap

    @field_validator("datasets", "restorers", "detectors", mode="before")
    @classmethod
    def _names_are_entries(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]
