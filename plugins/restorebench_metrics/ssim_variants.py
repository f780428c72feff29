"""SSIM by the formulas of published scripts: other windows, borders and data ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from restorebench_metrics.crops import Crop
from restorebench_metrics.ssim import Strips, Window, gaussian, uniform
from restorebench_metrics.steps import Step, step

if TYPE_CHECKING:
    from restorebench_metrics.steps import Array

    Found = Iterator[tuple[Crop, Step, float]]


@dataclass(frozen=True)
class Index:
    """One way to compute the SSIM map from filtered planes. joint: also filtered across the channels."""

    step: Step
    window: Window
    joint: bool = False


@dataclass(frozen=True)
class Filter:
    """Planes that are padded in one way and filtered by one window, and the indices that are made of them.

    padding: the mode of `numpy.pad` for a border as wide as half of the window; "" keeps only where it fits.
    """

    padding: str
    indices: tuple[Index, ...]

    @property
    def window(self) -> Window:
        return self.indices[0].window

    def crops(self, crops: Sequence[Crop]) -> Sequence[Crop]:
        """Return the crops that one pass serves: of padded planes the whole, as padding goes around a crop."""
        return crops[:1] if self.padding else crops

    def padded(self, planes: Array) -> Array:
        """Pad (C, H, W)."""
        half = len(self.window.taps) // 2
        border = ((0, 0), (half, half), (half, half))
        return np.pad(planes, border, mode=self.padding) if self.padding else planes  # type: ignore[call-overload]  # mode: a text


_SAMPLE = Window(gaussian().taps, sample_covariance=True)
_UNIFORM_7, _UNIFORM_11 = uniform(7), uniform(11)
FILTERS = (
    Filter(
        "",
        (
            Index(Step(), gaussian()),
            Index(step("sample covariance", 1.25), _SAMPLE),
        ),
    ),
    Filter(
        "",
        (
            Index(step("7x7 uniform window", 0.75), _UNIFORM_7),
            Index(step("7x7 uniform window", 0.75) + step("population covariance", 0.5), Window(_UNIFORM_7.taps)),
        ),
    ),
    Filter(
        "",
        (
            Index(step("11x11 uniform window", 1.5), _UNIFORM_11),
            Index(
                step("11x11 uniform window", 1.5) + step("population covariance", 0.25), Window(_UNIFORM_11.taps)
            ),
        ),
    ),
    Filter("constant", (Index(step("border padded with zeros", 1.0), gaussian()),)),
    Filter("reflect", (Index(step("border reflected", 1.5), gaussian()),)),
    Filter(
        "edge",
        (
            Index(step("border pixels repeated", 1.25), gaussian()),
            Index(step("3-D window across channels", 1.25), gaussian(), joint=True),
        ),
    ),
)


@dataclass(frozen=True)
class Range:
    """The data range L in the constants (0.01 L)^2 and (0.03 L)^2. signed: the images are scaled to [-1, 1]."""

    step: Step
    length: float
    signed: bool = False


def _ranges(x: Array, y: Array) -> list[Range]:
    of_x, of_y = float(x.max() - x.min()), float(y.max() - y.min())
    return [
        Range(Step(), 1.0),
        Range(step("data range 255 on images in 0..1", 1.0), 255.0),
        Range(step("data range 1 on images in 0..255", 1.0), 1 / 255),
        Range(step("data range 2 on images in 0..1", 1.0), 2.0),
        Range(step("data range 2 on images in -1..1", 1.25), 2.0, signed=True),
        Range(step("data range 1 on images in -1..1", 1.25), 1.0, signed=True),
        Range(step("data range of the clean image", 1.0), of_y),
        Range(step("data range of the restored image", 1.5), of_x),
        Range(step("larger data range of the two images", 1.5), max(of_x, of_y)),
    ]


def scores(x: Array, y: Array, crops: Sequence[Crop], rarest: float) -> Found:
    """Score a pair, (C, H, W), by SSIM in each crop, with each window and each data range."""
    ranges = _ranges(x, y)
    for each in FILTERS:
        wanted = [
            _Mean(
                index, data_range, _usual(each.crops(crops), rarest - index.step.rarity - data_range.step.rarity)
            )
            for index, data_range in product(each.indices, ranges)
            if data_range.length > 0 and (len(x) == 3 or not index.joint)
        ]
        wanted = [mean for mean in wanted if mean.crops]
        if wanted:
            yield from _filtered(x, y, each, wanted)


def _filtered(x: Array, y: Array, each: Filter, wanted: Sequence[_Mean]) -> Found:
    """Score a pair by all indices that are made of one filter."""
    taps = len(each.window.taps)
    margin = 0 if each.padding else taps // 2
    if each.padding == "reflect" and min(x.shape[1:]) <= taps // 2:
        return
    planes = each.padded(x), each.padded(y)
    height, width = planes[0].shape[1:]
    if min(height, width) < taps:
        return
    for joint in (False, True):
        means = [mean for mean in wanted if mean.index.joint == joint]
        if means:
            for top, moments in (_across if joint else _one_by_one)(each.window, *planes):
                for index in dict.fromkeys(mean.index for mean in means):
                    _add(top, moments, [mean for mean in means if mean.index is index], margin)
    for mean in wanted:
        yield from mean.result(margin, channels=len(x))


_Moments = Iterator[tuple[int, "Array"]]


def _one_by_one(window: Window, x: Array, y: Array) -> _Moments:
    """Yield the strips of every channel as `Strips.filtered` does."""
    strips = Strips(window, *x.shape[1:])
    for one, other in zip(x, y, strict=True):
        yield from strips.filtered(one, other)


def _across(window: Window, x: Array, y: Array) -> _Moments:
    """Yield the same, also filtered by the window across the three channels, of which the outer ones repeat."""
    weights = np.zeros((3, 3))
    for channel, (number, tap) in product(range(3), enumerate(window.taps)):
        weights[channel, min(max(channel + number - len(window.taps) // 2, 0), 2)] += tap
    strips = [Strips(window, *x.shape[1:]).filtered(one, other) for one, other in zip(x, y, strict=True)]
    for parts in zip(*strips, strict=True):
        mixed = np.tensordot(weights, np.stack([moments for _, moments in parts]), 1)
        yield from ((parts[0][0], moments) for moments in mixed)


def _add(top: int, moments: Array, means: Sequence[_Mean], margin: int) -> None:
    """Add a strip to the means of one index over several data ranges."""
    for signed in (False, True):
        chosen = [mean for mean in means if mean.range.signed == signed]
        if chosen:
            terms = _terms(_signed(moments) if signed else moments, chosen[0].index.window.variance_scale)
            for mean in chosen:
                mean.add(top, _index_map(terms, mean.range.length), margin)


def _usual(crops: Sequence[Crop], rarest: float) -> list[Crop]:
    return [crop for crop in crops if crop.steps[0].rarity <= rarest]


class _Mean:
    """The mean of one SSIM map over each crop, collected strip by strip.

    margin: the map's first position is this many pixels from the image's upper and left side.
    """

    def __init__(self, index: Index, data_range: Range, crops: Sequence[Crop]) -> None:
        self.index, self.range, self.crops = index, data_range, crops
        self._sums = [0.0] * len(crops)

    def add(self, top: int, part: Array, margin: int) -> None:
        """Add a part of the map of one channel, (columns, rows), that begins at row `top`."""
        for number, crop in enumerate(self.crops):
            first = max(crop.rows.start - top, 0)
            last = crop.rows.stop - 2 * margin - top
            columns = slice(crop.columns.start, crop.columns.stop - 2 * margin)
            if last > first:
                self._sums[number] += float(part[columns, first:last].sum())

    def result(self, margin: int, channels: int) -> Found:
        """Yield the mean over each crop that the window fits into."""
        formula = self.index.step + self.range.step
        for crop, total in zip(self.crops, self._sums, strict=True):
            rows = crop.rows.stop - crop.rows.start - 2 * margin
            columns = crop.columns.stop - crop.columns.start - 2 * margin
            if rows > 0 and columns > 0:
                yield crop, formula, total / (rows * columns * channels)


def _signed(moments: Array) -> Array:
    """Return the moments of the images 2 x - 1, whose sum a becomes 2 a - 2 and whose difference b becomes 2 b."""
    a, b, a_squared, b_squared = moments
    return np.stack([2 * a - 2, 2 * b, 4 * a_squared - 8 * a + 4, 4 * b_squared])


def _terms(moments: Array, variance_scale: float) -> tuple[Array, ...]:
    """Return sum and difference of the squared means, and of the variances, of a and b."""
    squared = moments[:2] * moments[:2]
    variances = moments[2:] - squared
    if variance_scale != 1:
        variances *= variance_scale
    return (
        squared[0] + squared[1],
        squared[0] - squared[1],
        variances[0] + variances[1],
        variances[0] - variances[1],
    )


def _index_map(terms: tuple[Array, ...], length: float) -> Array:
    """Return a part of the SSIM map for a data range, by the formula in `ssim._plane`."""
    mean_sum, mean_difference, variance_sum, variance_difference = terms
    c1, c2 = 2 * (0.01 * length) ** 2, 2 * (0.03 * length) ** 2
    index: Array = (mean_difference + c1) * (variance_difference + c2)
    index /= (mean_sum + c1) * (variance_sum + c2)
    return index
