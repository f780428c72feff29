"""Options of the three datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from restorebench.toolbox.options import OptionsOf, PluginOptions

Crop = Annotated[int | None, Field(ge=1, description="side in pixels of a centred square crop; none by default")]
Severity = Annotated[int, Field(ge=1, le=5)]
Pairing = Literal[
    "auto", "stem", "sots", "rain100", "raindrop", "srd", "lolv2-real", "rain1400", "istd"
]  # the rules of pairing.RULES; a test keeps the two alike


class Paired(PluginOptions):
    """The two folders, and the rule by which their files are paired."""

    path: Path | None = Field(None, description="root that holds <task>/{LQ,GT}")
    degraded: Path | None = Field(None, description="folder of degraded images, instead of `path`")
    clean: Path | None = Field(None, description="folder of clean images, with `degraded`")
    task: str | None = Field(None, description="the task that `degraded` shows; any task by default")
    pairing: Pairing = Field(
        "auto", description="naming rule; auto is `stem`, and its errors name other rules that fit"
    )
    clean_crop: Literal["centre"] | None = Field(
        None, description="`centre` cuts clean images that are larger down to their degraded partner's size"
    )
    sizes: Literal["equal", "any"] = Field(
        "equal", description="`any` also pairs images of two sizes, which `explain` alone can score"
    )
    crop: Crop = None

    @model_validator(mode="after")
    def _one_source(self) -> Paired:
        if (self.degraded is None) != (self.clean is None):
            raise ValueError("`degraded` and `clean` go together: give both folders")
        if (self.path is None) == (self.degraded is None):
            raise ValueError("give either `path`, or `degraded` and `clean`")
        if self.sizes == "any" and self.clean_crop is not None:
            raise ValueError("`clean_crop` makes sizes equal, so `sizes: any` has no meaning beside it; give one")
        if self.task is not None and self.path is not None:
            raise ValueError("`task` goes with `degraded` and `clean`; under `path` the folders name the tasks")
        return self


class Synthetic(PluginOptions):
    """The photographs to degrade, and the settings for that."""

    clean: Literal["embedded"] | Path = Field(
        "embedded",
        description="clean images: a folder, one file, or the six photographs that come with scikit-image",
    )
    crop: Crop = None
    severities: Annotated[tuple[Severity, ...], BeforeValidator(lambda v: (v,) if isinstance(v, int) else v)] = (
        Field((3,), min_length=1, description="severities from 1 to 5; every photograph is degraded at each")
    )
    preset: str | None = Field(
        None, description="named setting of the literature, such as `daclip`, instead of severities"
    )
    degradations: Annotated[dict[str, dict[str, Any]], OptionsOf("degradation")] = (
        Field(  # Any: each validates its own
            default_factory=dict, description="explicit options per degradation, such as {noisy: {sigma: 25}}"
        )
    )
    quantise: Literal["8bit", "float"] = Field(
        "8bit", description="clip and round to 8 bits as in a file, or keep the degradation's values"
    )
    order: Literal["physical", "cdd"] = Field(
        "physical", description="order in which the parts of a mixture are applied"
    )

    @field_validator("degradations")
    @classmethod
    def _single_ones(cls, degradations: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in degradations:
            if name == "composite" or "+" in name:
                raise ValueError(
                    f"a mixture has no options of its own, so those of {name!r} would go unread; give each part "
                    "its options, as in {hazy: {beta: 1}}, and the order as `order: cdd` beside `degradations` "
                    "(`restorebench degrade` takes neither: write a suite)"
                )
        return degradations

    @field_validator("severities")
    @classmethod
    def _each_once(cls, severities: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(severities)) != len(severities):
            raise ValueError("a severity is listed twice")
        return severities


def credits_of_photographs(options: Synthetic) -> str:
    """Name the sources of the embedded photographs; "" for other photographs, whose licence is not known."""
    if options.clean != "embedded":
        return ""
    return (
        "photographs that come with scikit-image: NASA (astronaut), SpaceX (rocket), Stefan van der Walt"
        " (chelsea), Rachel Michetti (coffee), Middlebury Stereo Dataset 2014 (motorcycle), Lav Varshney (camera)"
    )


class Unpaired(PluginOptions):
    """The images."""

    path: Path = Field(description="one image, or a folder of images")
    arrays: bool = Field(
        False, description="whether the images are .npy files instead, (H, W, 3) float32 RGB in [0, 1]"
    )
