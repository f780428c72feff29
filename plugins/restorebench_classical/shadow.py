"""Shadows: find the dark region with the same step in brightness all along its border, and undo that step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, distance_transform_edt, gaussian_filter

if TYPE_CHECKING:
    from restorebench import Image

    Mask = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

SMALLEST_PX = 24
OFFSET = 0.02  # keeps logarithms of black finite
SMOOTH, PENUMBRA, BAND = 0.02, 0.012, 0.04  # of the short side
SHARES = np.linspace(0.1, 0.65, 12)  # share of the image that a candidate covers
# step over its spread; 1.0 gains nothing more at severity 3 and breaks severity 2, 2.0 loses 0.3 dB
EVIDENCE = 1.5
SPREAD_FLOOR = 0.12
TINT = 0.14  # red falls by more than blue, because the sky still lights a shadow: log(1.06 / 0.92) in the recipe
FAINTEST, STRONGEST = 0.5, 1.5  # mean log step; outside this range a region is more likely an object
UNDONE = 0.9  # share of the log step that is undone: too much relighting costs more than too little


@dataclass(frozen=True)
class Candidate:
    """A region that may be a shadow: the evidence from its border, its mask, its log step per channel."""

    evidence: float
    mask: Mask
    step: np.ndarray


def relight(degraded: Image) -> Image:
    """Brighten the most shadow-like region of (H, W, 3) float32, or return a copy if there is none.

    A shadow multiplies by one factor per channel (Finlayson et al., "On the removal of shadows from
    images", PAMI 2006), so the step in log brightness must be the same all along its border.
    """
    side = min(degraded.shape[:2])
    found = most_likely(degraded)
    if found is None or found.evidence < EVIDENCE or not FAINTEST < found.step.mean() < STRONGEST:
        return degraded.copy()
    matte = gaussian_filter(found.mask.astype(np.float32), PENUMBRA * side)[..., None]
    factor = np.clip(np.exp(-UNDONE * found.step), 0.1, 1)
    return (degraded / (1 - matte * (1 - factor))).astype(np.float32)


def most_likely(image: Image) -> Candidate | None:
    """Return the best candidate; None if no candidate has a border that is long enough.

    Candidates are level sets of the smoothed log brightness, as in Otsu relighting (Murali and
    Govindan 2013), but at twelve levels.
    """
    side = min(image.shape[:2])
    if side < SMALLEST_PX:
        return None
    logs = np.log(image + OFFSET)
    smooth = gaussian_filter(logs.mean(axis=2), SMOOTH * side)
    best: Candidate | None = None
    for share in SHARES:
        mask = _tidy(smooth < np.quantile(smooth, share), max(int(SMOOTH * side), 1))
        steps = border_steps(logs, mask, side)
        if len(steps) < side / 2:
            continue
        step = np.median(steps, axis=0)
        spread = 1.48 * np.median(np.abs(steps - step).mean(axis=1))
        evidence = float(step.mean() / (spread + SPREAD_FLOOR + abs(step[0] - step[2] - TINT)))
        if best is None or evidence > best.evidence:
            best = Candidate(evidence, mask, step)
    return best


def border_steps(logs: Image, mask: Mask, side: int) -> np.ndarray:
    """Return log brightness outside minus inside a mask, at the pixels along its border, (N, 3).

    Both are Gaussian means over bands that exclude the penumbra.
    """
    if mask.all() or not mask.any():
        return np.zeros((0, 3))
    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    start, end = 2 * PENUMBRA * side, (2 * PENUMBRA + BAND) * side
    means, weights = [], []
    for distance in (inside, outside):
        band = ((distance > start) & (distance < end)).astype(np.float32)
        weight = gaussian_filter(band, BAND * side)
        sums = gaussian_filter(logs * band[..., None], (BAND * side, BAND * side, 0))
        means.append(sums / (weight[..., None] + 1e-9))
        weights.append(weight)
    border = (inside > 0) & (inside <= 1.5) & (weights[0] > 0.02) & (weights[1] > 0.02)
    steps: np.ndarray = (means[1] - means[0])[border]
    return steps


def _tidy(mask: Mask, rounds: int) -> Mask:
    """Open, then close a mask; closing does not erode it at the border of the image."""
    opened = binary_opening(mask, iterations=rounds)
    padded = np.pad(opened, 2 * rounds, mode="edge")
    inner = slice(2 * rounds, -2 * rounds)
    tidy: Mask = binary_closing(padded, iterations=rounds)[inner, inner]
    return tidy
