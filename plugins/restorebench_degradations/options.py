"""Options of the synthesisers. If a parameter is None, the severity decides it.

Lengths are pixels at a shorter side of 480; the synthesiser multiplies them by the image's scale.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from restorebench.toolbox.options import PluginOptions


class MotionBlurry(PluginOptions):
    """Blur along a random walk of the camera."""

    length: float | None = Field(None, gt=0, le=400, description="length of the path in px")
    heading: float | None = Field(None, description="first direction of the path in degrees; random by default")
    bend: float | None = Field(
        None, ge=0, description="how much the direction varies, in radians; U(0.3, 1.5) by default"
    )
    noise: float = Field(
        0, ge=0, description="sigma of noise added after the blur, on the scale of 255 (literature: 1)"
    )


class Hazy(PluginOptions):
    """Uniform haze over an invented depth."""

    beta: float | None = Field(None, ge=0, description="optical thickness at the largest depth")
    airlight: float | None = Field(
        None, gt=0, le=1, description="grey airlight A; without it U(0.8, 1) with a tint of up to 0.03"
    )


class JpegCompressed(PluginOptions):
    """JPEG by Pillow's encoder: 4:2:0, no optimisation, not progressive."""

    quality: int | None = Field(None, ge=1, le=100, description="quality on libjpeg's scale")
    variant: Literal["single", "double-jpeg"] = Field(
        "single", description="`double-jpeg` compresses again on a block grid shifted by 1 to 7 px"
    )
    first_quality: int | None = Field(
        None, ge=1, le=100, description="quality of the first pass of `double-jpeg`; that of the second by default"
    )


class LowLight(PluginOptions):
    """Short exposure with sensor noise."""

    variant: Literal["linear", "curve"] = Field(
        "linear", description="exposure in linear light, or the display curve b(ax)^g of AGLLNet"
    )
    exposure: float | None = Field(None, gt=0, le=1, description="factor on linear light, for `linear`")
    gain: float | None = Field(None, gt=0, le=1, description="b of `curve`")
    gamma: float | None = Field(None, gt=0, description="g of `curve`")
    shot: float | None = Field(None, ge=0, description="shot noise: variance per unit of linear light")


class Noisy(PluginOptions):
    """Additive white Gaussian noise, or sensor noise."""

    variant: Literal["gaussian", "poisson-gaussian"] = Field(
        "gaussian", description="independent of the signal, or sensor noise in linear light"
    )
    sigma: float | None = Field(None, ge=0, description="standard deviation on the scale of 255, for `gaussian`")
    shot: float | None = Field(None, ge=0, description="variance per unit of linear light, for `poisson-gaussian`")
    clip: bool = Field(True, description="false keeps values of `gaussian` outside [0, 1]")


class Raindrop(PluginOptions):
    """Drops on the lens or on a pane in front of it."""

    count: int | None = Field(None, ge=0, le=5000, description="number of drops")
    radius: float | None = Field(None, gt=0, le=200, description="radius of every drop in px; a range by default")
    blur: float | None = Field(None, gt=0, description="sigma in px of the scene as seen through a drop")


class Rainy(PluginOptions):
    """Rain streaks."""

    layers: int | None = Field(None, ge=1, le=5, description="streak directions")
    density: float | None = Field(None, ge=0, le=0.05, description="streaks per px of each layer")
    length: float | None = Field(
        None, gt=0, le=200, description="length of every streak in px; a range by default"
    )
    strength: float | None = Field(None, ge=0, description="factor of the streaks, before they are added")
    width: float | None = Field(None, gt=0, le=20, description="Gaussian sigma of a streak's profile in px")
    angle: float | None = Field(
        None, description="direction of every layer in degrees, 90 is straight down; 90 +- 25 by default"
    )
    heavy: bool = Field(False, description="add the veil of far rain: haze with beta 0.4")


class Shadowed(PluginOptions):
    """A soft cast shadow."""

    area: float | None = Field(None, gt=0, lt=1, description="fraction of the image in shadow")
    attenuation: float | None = Field(None, ge=0, le=1, description="display value left in the umbra, as a factor")
    penumbra: float | None = Field(
        None, ge=0, le=0.1, description="sigma of the edge as a fraction of the longer side"
    )
    physical: bool = Field(False, description="attenuate linear light: same umbra, different penumbra")


class Flakes(PluginOptions):
    """One size of snow flakes."""

    density: float = Field(ge=0, le=0.05, description="flakes per px")
    radius: float = Field(gt=0, le=50, description="Gaussian sigma of a flake in px")
    opacity: float = Field(ge=0, le=1, description="opacity of a flake's core")


class Snowy(PluginOptions):
    """Falling snow in up to three sizes."""

    flakes: tuple[Flakes, ...] | None = Field(None, max_length=3, description="sizes of flakes, smallest first")
    veil: bool = Field(False, description="add the veil of far snow: haze with beta 0.3")


class Uncompleted(PluginOptions):
    """Missing strokes, filled with one value."""

    area: float | None = Field(None, gt=0, le=0.9, description="fraction of the pixels that is missing")
    fill: float = Field(1.0, ge=0, le=1, description="value of missing pixels; 1 is white, as in DA-CLIP")


class Part(PluginOptions):
    """One degradation of a composite."""

    name: str = Field(description="name of the degradation")
    options: dict[str, Any] = Field(  # Any: each degradation validates its own options
        default_factory=dict, description="its options"
    )


def _named(part: object) -> object:
    return {"name": part} if isinstance(part, str) else part


class Composite(PluginOptions):
    """Several degradations, one after the other."""

    parts: tuple[Annotated[Part, BeforeValidator(_named)], ...] = Field(
        min_length=1, description="degradations as names or as {name, options}; their order does not matter"
    )
    order: Literal["physical", "cdd"] = Field(
        "physical", description="order of the light's way, or of CDD-11: low light, rain, snow, haze, others"
    )

    @field_validator("parts")
    @classmethod
    def _each_once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len({part.name for part in parts}) != len(parts):
            raise ValueError("a degradation is listed twice")
        return parts
