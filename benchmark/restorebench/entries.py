"""What the lists of a suite hold: datasets, restorers and detectors; and its time limits."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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


class _Entry(Strict):
    name: str = Field(description="name of the plugin, see `restorebench list`")
    options: dict[str, Any] = Field(default_factory=dict, description="the plugin's own options")


class DatasetEntry(_Entry):
    """A dataset, asked for each task of the suite or for those named here."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tasks: list[str] | None = Field(None, description="tasks taken from this dataset; all by default")


class RestorerEntry(_Entry):
    """A restorer and what it is told."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tell: str = Field("nothing", description="nothing (blind), task (oracle), or the label or name of a detector")


class DetectorEntry(_Entry):
    """A degradation detector for the detector track, and how large it sees the images."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    resize: float = Field(1.0, gt=0, le=4, description="factor by which it sees images resized, bicubic")
    optional: bool = Field(
        False,
        description="leave it out, with a note, where its published weights are not in the cache; nothing is"
        " downloaded for it then",
    )
