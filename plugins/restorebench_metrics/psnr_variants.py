"""PSNR by the formulas of published scripts: other peaks, other averages over channels, and common mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from restorebench_metrics.crops import Crop
from restorebench_metrics.steps import Step, step

if TYPE_CHECKING:
    from restorebench_metrics.steps import Array

    Found = Iterator[tuple[Crop, Step, float]]

_FIXED_PEAKS = (
    (step("peak 255 on images in 0..1", 1.0), 20 * math.log10(255)),
    (step("peak 1 on images in 0..255", 1.0), -20 * math.log10(255)),
    (step("peak 2 on images in 0..1", 1.25), 20 * math.log10(2)),
    (step("peak 1 on images in -1..1", 1.25), -20 * math.log10(2)),
)


def _decibels(error: float, peak: float = 1.0) -> float:
    """Return PSNR for a mean squared error; inf if that is 0."""
    return math.inf if error == 0 else 20 * math.log10(peak) - 10 * math.log10(error)


def scores(x: Array, y: Array, crops: Sequence[Crop], rarest: float) -> Found:
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
