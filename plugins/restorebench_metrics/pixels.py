"""What published scripts do to the pixels of a pair before they score it: rounding, mean alignment, resizing.

A step that changes nothing about some pair is there all the same, so that every pair has the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from restorebench.toolbox.resampling import RESAMPLINGS, Resize
from restorebench_metrics.colours import GREY
from restorebench_metrics.steps import Step, step

if TYPE_CHECKING:
    from restorebench_metrics.steps import Array


@dataclass(frozen=True)
class Pair:
    """A restored and a clean image of one size, and the step that made them."""

    step: Step
    restored: Array
    clean: Array


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
    (step("then rounded", 0.1), rounded),
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
    del restored, clean  # large, and not needed any more
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


_SIDES = ((256, 0.25), (512, 1.0), (128, 1.0))


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
