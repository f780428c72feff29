"""JPEG artefacts: the sliding DCT, with a threshold that depends on how blocky the image is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebench_classical.sliding_dct import shrink

if TYPE_CHECKING:
    from restorebench import Image

YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)  # JFIF's, in which the encoder quantised
HARD = 2.7  # as for noise
CHROMA = 1.3  # colour differences are quantised more coarsely; 0.7 and 2 lose less than 0.1 dB
INTERCEPT, PER_STEP, PER_FLATNESS = 0.0045, 1.01, 0.041
LEAST, MOST = 0.01, 0.1
# Regression of the best noise level on the two statistics, 30 training photographs at severities 1 to 5: at
# most 0.04 dB below the best level of each image.


def grid_step(degraded: Image) -> float:
    """Estimate how much larger luma steps are across the 8 px grid than elsewhere; the grid may have any phase."""
    luma = degraded @ YCBCR[0]
    excess = []
    for axis in (0, 1):
        if luma.shape[axis] < 17:
            continue
        jump = np.abs(np.diff(luma, axis=axis)).mean(axis=1 - axis)
        phases = np.array([jump[phase::8].mean() for phase in range(8)])
        excess.append(float(phases.max() - np.median(phases)))
    return float(np.mean(excess)) if excess else 0.0


def strength(degraded: Image) -> float:
    """Estimate the noise level, in [0, 1], that the coding is equivalent to, from grid steps and lost detail."""
    luma = degraded @ YCBCR[0]
    flat = float(np.mean(np.abs(np.diff(luma, axis=1)) < 0.5 / 255)) if luma.shape[1] > 1 else 0.0
    return float(np.clip(INTERCEPT + PER_STEP * grid_step(degraded) + PER_FLATNESS * flat, LEAST, MOST))


def deblock(degraded: Image) -> Image:
    """Soften JPEG artefacts of (H, W, 3) float32.

    Averaging shrunken DCT windows of all phases hides the grid of one phase (Nosratinia, "Enhancement of
    JPEG-compressed images by re-application of JPEG", 2001). Shrinkage has two steps, as for noise.
    """
    planes = degraded @ YCBCR.T
    level = strength(degraded)
    smoothed = np.empty_like(planes)
    for index, sigma in enumerate((level, CHROMA * level, CHROMA * level)):
        pilot = shrink(planes[..., index], HARD * sigma)
        smoothed[..., index] = shrink(planes[..., index], sigma, pilot=pilot)
    return smoothed @ np.linalg.inv(YCBCR).T.astype(np.float32)
