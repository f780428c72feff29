"""The colour spaces in which published scripts score, also by mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from restorebench_metrics.steps import Step, step

if TYPE_CHECKING:
    from restorebench_metrics.steps import Array


@dataclass(frozen=True)
class Colour:
    """A colour space: the protocol that has it or is nearest, the step from there, and the two conversions.

    A step without words is no departure, but its rarity counts where other departures follow.
    """

    protocol: str
    step: Step
    restored: Callable[[Array], Array]
    clean: Callable[[Array], Array]


GREY = np.array([0.299, 0.587, 0.114])
PILLOW_GREY = np.array([19595, 38470, 7471]) / 65536  # in fixed point, which shows where luma is rounded
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
    bgr, to_levels = step("BGR read as RGB", 0.75), step("luma rounded to 8 bits", 0.25)
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
