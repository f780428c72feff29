"""The keys of a suite, the picks in its lists, and its time limits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from restorebench.contract.tasks import TEN_NAMES

NOT_DETECTORS = ("nothing", "task")
"""The values of `tell` that do not name a detector."""


PICKED = ("datasets", "restorers", "detectors", "reports")
"""The lists of plugins; an item may be a name alone."""


class Strict(BaseModel):
    """A part of a suite. Unknown keys and values of another type are errors."""

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
    """A dataset, used for every task of the suite or only for those named here."""

    label: str | None = Field(None, description="name in the tables; the plugin's name by default")
    tasks: list[str] | None = Field(None, description="tasks to take from this dataset; all by default")


class RestorerPick(_Pick):
    """A restorer and what it is told."""

    label: str | None = Field(None, description="name in the tables; the plugin's name by default")
    tell: str = Field("nothing", description="nothing (blind), task (oracle), or the label or name of a detector")


class DetectorPick(_Pick):
    """A degradation detector for the detector track, and the size at which it gets the images."""

    label: str | None = Field(None, description="name in the tables; the plugin's name by default")
    resize: float = Field(1.0, gt=0, le=4, description="factor by which its images are resized (bicubic)")
    optional: bool = Field(
        False,
        description="leave it out, with a note, if its published weights are not in the cache, instead of"
        " downloading them",
    )


class ReportPick(_Pick):
    """A reporter, which writes the tables."""


class Suite(Strict):
    """A comparison of restorers and detectors on datasets. Only `suite` and `datasets` have no default."""

    suite: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="kebab-case name of the suite")
    version: str = Field("1", description="raise it when the results are no longer comparable")
    description: str = Field("", description="one sentence on what the suite compares")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of synthesis and of restorers' noise")
    variables: dict[str, Any] = Field(default_factory=dict, description="values used as ${name}")
    tasks: list[str] = Field(
        default_factory=lambda: list(TEN_NAMES), min_length=1, description="tasks; mixtures such as hazy+rainy"
    )
    datasets: list[DatasetPick] = Field(min_length=1, description="where the images come from")
    restorers: list[RestorerPick] = Field(
        default_factory=lambda: [RestorerPick(name="identity")], description="restorers to compare"
    )
    detectors: list[DetectorPick] = Field(default_factory=list, description="detectors to score")
    metrics: list[str] = Field(
        default_factory=lambda: ["psnr", "ssim"],
        min_length=1,
        description="metrics to compute; the first that may rank does so (some metrics never rank)",
    )
    protocols: list[str] = Field(
        default_factory=lambda: ["rgb"],
        min_length=1,
        description="how images are prepared for metrics; see protocols.md",
    )
    clean_inputs: bool = Field(True, description="also restore clean images, to see what a restorer damages")
    repetitions: int = Field(1, ge=1, le=100, description="runs of each stochastic restorer, with different seeds")
    batch_size: int = Field(1, ge=1, le=1024, description="images of one size restored together")
    threads: int = Field(1, ge=1, le=256, description="CPU threads per worker")
    tile: int | None = Field(None, ge=32, description="tile side in pixels; without it, images are restored whole")
    tile_overlap: int = Field(
        32, ge=0, validate_default=True, description="pixels that neighbouring tiles share, fewer than `tile`"
    )
    save: Literal["none", "all"] = Field("none", description="`all` keeps the restored images for `score`")
    samples: int = Field(0, ge=0, description="degraded/clean/restored triples to keep per task, to look at")
    limits: Limits = Field(default_factory=Limits, description="time limits in seconds")
    reports: list[ReportPick] = Field(
        default_factory=lambda: [ReportPick(name="csv"), ReportPick(name="markdown")],
        description="reporters that write the tables",
    )

    @field_validator("version", mode="before")
    @classmethod
    def _version_is_text(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError("is a number, so 1.10 would become 1.1; put it in quotes")
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("tile_overlap")
    @classmethod
    def _tiles_advance(cls, overlap: int, info: ValidationInfo) -> int:
        tile = info.data.get("tile")
        if tile is not None and overlap >= tile:
            raise ValueError(f"must be smaller than tile, which is {tile} pixels")
        return overlap

    @field_validator(*PICKED, mode="before")
    @classmethod
    def _names_are_picks(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"name": pick} if isinstance(pick, str) else pick for pick in value]
