"""How published scripts prepare a pair of images before they score it, beside the protocols: steps with names.

Each step has a rarity, as in `restorebench.Variant`. A step that changes nothing about some pair is there all the
same, so that every pair has the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from restorebench.toolbox.resampling import RESAMPLINGS, Resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]  # (3, H, W) or (1, H, W), in [0, 1] unless a step says otherwise


@dataclass(frozen=True)
class Step:
    """Departures from a protocol, in words, and their rarity; without words there is none."""

    words: tuple[str, ...] = ()
    rarity: float = 0.0

    def __add__(self, other: Step) -> Step:
        return Step(self.words + other.words, self.rarity + other.rarity)


def step(words: str, rarity: float) -> Step:
    """Return the step of one departure."""
    return Step((words,), rarity)


@dataclass(frozen=True)
class Pair:
    """A restored and a clean image of one size, and the step that made them."""

    step: Step
    restored: Array
    clean: Array


@dataclass(frozen=True)
class Colour:
    """A colour space: the protocol that has it or is nearest, the step from there, and the two conversions.

    A step without words is no departure, but its rarity counts where other departures follow.
    """

    protocol: str
    step: Step
    restored: Callable[[Array], Array]
    clean: Callable[[Array], Array]


@dataclass(frozen=True)
class Crop:
    """The part of an image that is scored, and the steps that lead to it, the least unusual first."""

    rows: slice
    columns: slice
    steps: tuple[Step, ...]


# ---------------------------------------------------------------- pixels


def rounded(image: Array) -> Array:
    """Clip to [0, 1] and round to 8 bits."""
    return np.rint(image.clip(0, 1) * 255) / 255


def _cut_off(image: Array) -> Array:
    # 8-bit levels are stored in single precision, a little beside k / 255; they must not fall to the level below.
    return np.floor(image.clip(0, 1) * 255 + 1e-4) / 255


def _upper_bits(image: Array) -> Array:
    return np.floor(np.rint(image.clip(0, 1) * 65535) / 256) / 255


_DEPTHS: tuple[tuple[Step, Callable[[Array], Array]], ...] = (
    (step("not rounded", 0.5), lambda image: image.clip(0, 1)),
    (step("cut off to 8 bits", 0.75), _cut_off),
    (step("upper 8 of 16 bits", 0.75), _upper_bits),
)

GREY = np.array([0.299, 0.587, 0.114])
PILLOW_GREY = np.array([19595, 38470, 7471]) / 65536  # in fixed point, which shows where luma is rounded


Mean = Callable[["Array"], "Array"]
Align = Callable[["Array", "Array"], "Array"]


def _grey(image: Array) -> Array:
    return np.asarray(GREY @ image.mean(axis=(1, 2)))


def _bgr_grey(image: Array) -> Array:
    return np.asarray(GREY[::-1] @ image.mean(axis=(1, 2)))


def _all(image: Array) -> Array:
    return np.asarray(image.mean())


def _each(image: Array) -> Array:
    return image.mean(axis=(1, 2))[:, None, None]


def _gain(found: Mean, wanted: Mean) -> Align:
    """Return the function that multiplies the restored image by a ratio of means; a black one stays as it is."""

    def align(restored: Array, clean: Array) -> Array:
        mean = found(restored)
        black = mean == 0
        return restored * np.where(black, 1.0, wanted(clean) / np.where(black, 1.0, mean))

    return align


def _shift(mean: Mean) -> Align:
    """Return the function that adds the difference of the means to the restored image."""
    return lambda restored, clean: restored + (mean(clean) - mean(restored))


_ALIGNMENTS: tuple[tuple[Step, Align], ...] = (
    (step("mean-aligned", 1.0), _gain(_grey, _grey)),
    (step("mean-aligned over all channels", 1.0), _gain(_all, _all)),
    (step("mean-aligned by BGR read as RGB", 1.5), _gain(_bgr_grey, _bgr_grey)),
    (step("mean-aligned channel by channel", 1.5), _gain(_each, _each)),
    (step("mean-aligned by a shift", 1.5), _shift(_all)),
    (step("mean-aligned by a shift of each channel", 1.75), _shift(_each)),
    (step("mean of all channels aligned to mean grey", 1.75), _gain(_all, _grey)),
)
_FINISHES: tuple[tuple[Step, Callable[[Array], Array]], ...] = (
    (Step(), lambda image: image.clip(0, 1)),
    (step("then rounded", 0.25), rounded),
    (step("then cut off to 8 bits", 0.75), _cut_off),
    (step("not clipped", 0.75), lambda image: image),
)


def pairs(restored: Array, clean: Array, rarest: float) -> Iterator[Pair]:
    """Yield a pair as protocols have it, rounded to 8 bits, and then as the steps of published scripts make it."""
    base = Pair(Step(), rounded(restored), rounded(clean))
    yield base
    deep = any(
        np.abs(raw - eight).max() > 1e-4 / 255 for raw, eight in ((restored, base.restored), (clean, base.clean))
    )
    for depth, convert in _DEPTHS:
        if depth.rarity <= rarest:
            # The same arrays where the files have 8 bits, which tells that nothing changes.
            yield Pair(depth, *((convert(restored), convert(clean)) if deep else (base.restored, base.clean)))
    yield from _aligned(base, rarest)
    yield from _resized(base, rarest)


def _aligned(base: Pair, rarest: float) -> Iterator[Pair]:
    """Give the restored image the mean of the clean one, as the low-light literature does."""
    for alignment, align in _ALIGNMENTS:
        finishes = [(more, finish) for more, finish in _FINISHES if alignment.rarity + more.rarity <= rarest]
        if finishes:
            aligned = align(base.restored, base.clean)
            for more, finish in finishes:
                yield Pair(alignment + more, finish(aligned), base.clean)


_SIDES = ((256, 0.25), (512, 1.25), (128, 1.25))


def _resized(base: Pair, rarest: float) -> Iterator[Pair]:
    """Shrink both images, to a square or to a short side of about 256 px."""
    if rarest >= _AVERAGED.rarity:
        factor = max(1, round(min(base.clean.shape[1:]) / 256))
        yield Pair(_AVERAGED, _shrunk(base.restored, factor), _shrunk(base.clean, factor))
    for side, more in _SIDES:
        shrinks = side == 256 or max(base.clean.shape[1:]) >= side
        for way in RESAMPLINGS if shrinks else ():
            if way.rarity + more <= rarest:
                resized = step(f"both resized to {side} x {side} ({way.name})", way.rarity + more)
                yield Pair(resized, *(_square(image, side, way.resize) for image in (base.restored, base.clean)))


def _square(image: Array, side: int, resize: Resize) -> Array:
    if image.shape[1:] == (side, side):
        return image  # itself, which tells that nothing changes
    return np.ascontiguousarray(resize(image.transpose(1, 2, 0), side, side).transpose(2, 0, 1))


_AVERAGED = step("averaged down to about 256 px", 1.0)


def _shrunk(image: Array, factor: int) -> Array:
    """Average blocks of factor x factor pixels; what does not fill a block is left out, as avg_pool2d does."""
    if factor == 1:
        return image  # itself, which tells that nothing changes
    height, width = (side // factor for side in image.shape[1:])
    whole = image[:, : height * factor, : width * factor]
    return whole.reshape(3, height, factor, width, factor).mean(axis=(2, 4))


# ---------------------------------------------------------------- colour

STUDIO, STUDIO_OFFSET = np.array([65.481, 128.553, 24.966]) / 255, 16 / 255
BT709 = np.array([0.2125, 0.7154, 0.0721])


def _luma(weights: Array, offset: float = 0.0, to_levels: bool = False) -> Callable[[Array], Array]:
    """Return the conversion of (3, H, W) to (1, H, W). to_levels: round the result to 8 bits, halves upwards."""

    def convert(image: Array) -> Array:
        grey = np.tensordot(weights, image, 1)[None] + offset
        return np.floor(grey * 255 + (0.5 + 1e-9)) / 255 if to_levels else grey

    return convert


def _rgb(image: Array) -> Array:
    return image


def _colours() -> Iterator[Colour]:
    """Yield the colour spaces, the usual ones first."""
    yield Colour("rgb", Step(), _rgb, _rgb)
    bgr, to_levels = step("BGR read as RGB", 0.75), step("luma rounded to 8 bits", 0.5)
    for protocol, rarity, weights, fixed, offset in (
        ("y", 0.05, STUDIO, STUDIO, STUDIO_OFFSET),
        ("y-full", 0.25, GREY, PILLOW_GREY, 0.0),
    ):
        start = Step((), rarity)
        for more, exact in ((Step(), weights), (to_levels, fixed)):
            right, swapped = (_luma(each, offset, more is to_levels) for each in (exact, exact[::-1]))
            yield Colour(protocol, start + more, right, right)
            yield Colour(protocol, start + bgr + more, swapped, swapped)
        right, swapped = _luma(weights, offset), _luma(weights[::-1], offset)
        yield Colour(protocol, start + step(_ONE_BGR, 1.5), swapped, right)
    yield Colour("rgb", step(_ONE_BGR, 1.0), lambda image: image[::-1], _rgb)
    bt709 = step("BT.709 weights (scikit-image's rgb2gray)", 1.0)
    for steps, weights in (
        (bt709, BT709),
        (bt709 + bgr, BT709[::-1]),
        (step("mean of the channels as grey", 1.5), np.full(3, 1 / 3)),
    ):
        yield Colour("y-full", steps, _luma(weights), _luma(weights))


_ONE_BGR = "restored image read as BGR, clean as RGB"
COLOURS = tuple(_colours())


# ---------------------------------------------------------------- crops

_BORDERS = {
    4: 0.75,
    2: 1.0,
    3: 1.0,
    8: 1.0,
    1: 1.25,
    6: 1.25,
    10: 1.25,
    5: 1.5,
    12: 1.5,
    16: 1.5,
    20: 1.5,
    32: 1.5,
}
_CENTRED = {16: 0.75, 8: 1.0, 4: 1.25, 32: 1.25, 64: 1.25}
_FROM_CORNER = {8: 1.25, 16: 1.25, 4: 1.25, 2: 1.5, 3: 1.5, 32: 1.25, 64: 1.25}


def crops(height: int, width: int, rarest: float) -> list[Crop]:
    """List the parts of an image that scripts keep, each once; parts that would be empty are left out."""
    found: dict[tuple[int, int, int, int], list[Step]] = {}
    for cut, (top, bottom), (left, right) in _cuts(height, width):
        if cut.rarity <= rarest and top < bottom and left < right:
            found.setdefault((top, bottom, left, right), []).append(cut)
    return [
        Crop(slice(top, bottom), slice(left, right), tuple(sorted(steps, key=lambda each: each.rarity)))
        for (top, bottom, left, right), steps in found.items()
    ]


_Kept = tuple[int, int]


def _cuts(height: int, width: int) -> Iterator[tuple[Step, _Kept, _Kept]]:
    """Yield each step with the first and the last-but-one row and column that it keeps."""
    yield Step(), (0, height), (0, width)
    for border, rarity in _BORDERS.items():
        yield step(f"{border} px border", rarity), (border, height - border), (border, width - border)
    for multiple, rarity in _CENTRED.items():
        kept = [(side % multiple // 2, side - side % multiple + side % multiple // 2) for side in (height, width)]
        yield step(f"centred multiple of {multiple}", rarity), kept[0], kept[1]
    for multiple, rarity in _FROM_CORNER.items():
        kept = [(0, side - side % multiple) for side in (height, width)]
        yield step(f"multiple of {multiple} from the corner", rarity), kept[0], kept[1]
    inner = [
        ((side - min(side, 256)) // 2, (side - min(side, 256)) // 2 + min(side, 256)) for side in (height, width)
    ]
    yield step("centre of 256 x 256", 1.5), inner[0], inner[1]
