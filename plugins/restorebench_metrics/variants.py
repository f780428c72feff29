"""The scores of one pair under the conventions of published scripts that are not protocols of PSNR and SSIM.

A convention is a preparation of the pixels, a colour space, a crop and a formula. `preparations` has the first
three. All combinations whose rarities add up to at most a given one are computed. benchmark/docs/protocols.md has
the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from restorebench import Variant
from restorebench_metrics.preparations import COLOURS, Crop, Pair, Step, crops, pairs, step
from restorebench_metrics.ssim import Strips, Window, gaussian, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Found = Iterator[tuple[Crop, Step, float]]
    Score = Callable[[Array, Array, Sequence[Crop], float], Found]


def psnr(restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield PSNR in dB under each variant; inf where the images are equal.

    restored, clean: (H, W, 3) in [0, 1], of one size. rarest: the largest rarity.
    """
    return _variants(_psnr, restored, clean, rarest)


def ssim(restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield SSIM under each variant for which the image is large enough. Arguments as for `psnr`."""
    return _variants(_ssim, restored, clean, rarest)


def _variants(score: Score, restored: Array, clean: Array, rarest: float) -> Iterator[tuple[Variant, float]]:
    unchanged: tuple[Pair, list[tuple[Variant, float]]] | None = None
    for pair in pairs(_planes(restored), _planes(clean), rarest):
        if unchanged is None:
            unchanged = pair, list(_of_pair(score, pair, rarest))
            found = unchanged[1]
        elif pair.restored is unchanged[0].restored and pair.clean is unchanged[0].clean:
            found = [(_with(pair.step, variant), value) for variant, value in unchanged[1]]
        else:
            found = list(_of_pair(score, pair, rarest))
        yield from (each for each in found if each[0].rarity <= rarest and each[0].preparation + each[0].formula)


def _planes(image: Array) -> Array:
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float64)


def _with(pair: Step, variant: Variant) -> Variant:
    preparation = pair.words + variant.preparation
    return Variant(variant.protocol, preparation, variant.formula, variant.rarity + pair.rarity)


def _of_pair(score: Score, pair: Pair, rarest: float) -> Iterator[tuple[Variant, float]]:
    """Yield the scores of one prepared pair in every colour space and crop."""
    for colour in COLOURS:
        left = rarest - pair.step.rarity - colour.step.rarity
        if left < 0 or (pair.step.words and colour.step.words):
            continue  # no script is known that departs in both
        x, y = colour.restored(pair.restored), colour.clean(pair.clean)
        for crop, formula, value in score(x, y, crops(x.shape[1], x.shape[2], left), left):
            for cut in crop.steps:
                images = pair.step + colour.step + cut
                rarity = images.rarity + formula.rarity
                yield Variant(colour.protocol, images.words, formula.words, rarity), value


def _usual(crops: Sequence[Crop], rarest: float) -> list[Crop]:
    return [crop for crop in crops if crop.steps[0].rarity <= rarest]


# ---------------------------------------------------------------- PSNR

_FIXED_PEAKS = (
    (step("peak 255 on images in 0..1", 1.0), 20 * math.log10(255)),
    (step("peak 1 on images in 0..255", 1.0), -20 * math.log10(255)),
    (step("peak 2 on images in 0..1", 1.25), 20 * math.log10(2)),
    (step("peak 1 on images in -1..1", 1.25), -20 * math.log10(2)),
)


def _decibels(error: float, peak: float = 1.0) -> float:
    """Return PSNR for a mean squared error; inf if that is 0."""
    return math.inf if error == 0 else 20 * math.log10(peak) - 10 * math.log10(error)


def _psnr(x: Array, y: Array, crops: Sequence[Crop], rarest: float) -> Found:
    """Score a pair, (C, H, W), by PSNR in each crop and by each formula."""
    squared = (x - y) ** 2
    whole = squared.mean(axis=0)
    peaks = [(formula, peak(x, y)) for formula, peak in _MEASURED_PEAKS if formula.rarity <= rarest]
    overflowed = _overflowed(x, y) if rarest >= OVERFLOW.rarity else whole
    for crop in crops:
        left = rarest - crop.steps[0].rarity
        error = float(whole[crop.rows, crop.columns].mean())
        yield crop, Step(), _decibels(error)
        for formula, shift in _FIXED_PEAKS:
            if formula.rarity <= left:
                yield crop, formula, _decibels(error) + shift
        for formula, peak in peaks:
            if formula.rarity <= left and peak > 0:
                yield crop, formula, _decibels(error, peak)
        if EPSILON.rarity <= left:
            yield crop, EPSILON, _decibels(error + 1e-8)
        if BY_CHANNEL.rarity <= left and len(x) == 3:
            channels = squared[:, crop.rows, crop.columns].mean(axis=(1, 2))
            yield crop, BY_CHANNEL, sum(map(_decibels, channels.tolist())) / 3
        if OVERFLOW.rarity <= left:
            yield crop, OVERFLOW, _decibels(float(overflowed[crop.rows, crop.columns].mean()) / 255**2)


EPSILON = step("1e-8 added to the squared error", 1.5)
BY_CHANNEL = step("mean over the PSNR of each channel", 1.0)
OVERFLOW = step("squares overflow 8 bits", 1.5)


_MEASURED_PEAKS: tuple[tuple[Step, Callable[[Array, Array], float]], ...] = (
    (step("clean image's maximum as peak", 1.25), lambda x, y: float(y.max())),
    (step("clean image's range as peak", 1.25), lambda x, y: float(y.max() - y.min())),
    (step("restored image's maximum as peak", 1.5), lambda x, y: float(x.max())),
    (step("restored image's range as peak", 1.5), lambda x, y: float(x.max() - x.min())),
)
"""The peaks that scripts take from the images themselves."""


def _overflowed(x: Array, y: Array) -> Array:
    """Return the squared differences as arrays of 8 bits compute them, modulo 256."""
    one, other = (np.rint(image.clip(0, 1) * 255).astype(np.uint8) for image in (x, y))
    difference = one - other
    return (difference * difference).mean(axis=0)


# ---------------------------------------------------------------- SSIM


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
        return np.pad(planes, border, mode=self.padding) if self.padding else planes  # type: ignore[call-overload]


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
        Range(step("data range of the clean image", 1.25), of_y),
        Range(step("data range of the restored image", 1.5), of_x),
        Range(step("larger data range of the two images", 1.5), max(of_x, of_y)),
    ]


def _ssim(x: Array, y: Array, crops: Sequence[Crop], rarest: float) -> Found:
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
