"""Noise: estimate its strength, shrink a sliding DCT twice, undo the bias of clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import convolve1d, uniform_filter
from scipy.special import ndtr, ndtri

from restorebench_classical.sliding_dct import opponent, opponent_gain, rgb, shrink

if TYPE_CHECKING:
    from restorebench import Image

HARD = 2.7  # hard threshold in sigmas; 2.4 and 3.0 lose 0.1 dB on training photographs
WIENER = 1.0  # noise level of the second step in sigmas
QUIET = 1e-3  # sigma of a quarter of a grey level; below it there is nothing to remove
MID_TONES = 0.3, 0.7  # range of local means in which clipping at 0 and 1 hardly reduces the noise
DB2_HIGH = np.array([-0.12940952, -0.22414387, 0.8365163, -0.48296291])  # Daubechies 2, high pass


def estimate_sigma(image: Image) -> float:
    """Estimate the standard deviation of white noise in (H, W, 3), in [0, 1].

    The estimate is the median absolute diagonal wavelet coefficient over 0.6745 (Donoho and Johnstone, Biometrika
    1994), over mid-tones only if there are enough of them. The result is the median over the channels.
    """
    levels = image.astype(np.float64)
    detail = np.abs(convolve1d(convolve1d(levels, DB2_HIGH, axis=0), DB2_HIGH, axis=1))
    local = uniform_filter(levels, size=(7, 7, 1))
    return float(np.median([_median_sigma(detail[..., c], local[..., c]) for c in range(3)]))


def _median_sigma(detail: np.ndarray, local: np.ndarray) -> float:
    chosen = detail[(local > MID_TONES[0]) & (local < MID_TONES[1])]
    if chosen.size < max(0.05 * detail.size, 64):
        chosen = detail
    return float(np.median(chosen) / ndtri(0.75))


def denoise(degraded: Image) -> Image:
    """Remove white Gaussian noise of unknown strength from (H, W, 3) float32 in [0, 1].

    A sliding 8x8 DCT with a hard threshold gives a pilot, and an empirical Wiener filter gives the result. These
    are BM3D's two steps (Dabov et al., IEEE TIP 2007) without block matching, in its opponent colours. Then the
    bias of clipped noise is removed from the mean (Foi, "Clipped noisy images", Signal Processing 2009).
    """
    sigma = estimate_sigma(degraded)
    return degraded.copy() if sigma < QUIET else unclip(smooth(degraded, sigma), sigma)


def smooth(image: Image, sigma: float, hard: float = HARD) -> Image:
    """Apply the two shrinkage steps for noise of standard deviation `sigma`; (H, W, 3), not clipped."""
    planes = opponent(image)
    smoothed = np.empty_like(planes)
    for index, gain in enumerate(opponent_gain()):
        level = sigma * float(gain)
        pilot = shrink(planes[..., index], hard * level)
        smoothed[..., index] = shrink(planes[..., index], WIENER * level, pilot=pilot)
    return rgb(smoothed)


def unclip(mean: Image, sigma: float) -> Image:
    """Map the mean of clipped noise, value by value, to the level that causes it; the result is in [0, 1]."""
    level = np.linspace(0, 1, 1025)
    low, high = -level / sigma, (1 - level) / sigma
    inside = ndtr(high) - ndtr(low)
    expected = level * inside + sigma * (_density(low) - _density(high)) + 1 - ndtr(high)
    return np.interp(mean, expected, level).astype(np.float32)


def _density(values: np.ndarray) -> np.ndarray:
    """Evaluate the standard normal density; scipy.stats has it too, but takes half a second to import."""
    return np.exp(-np.square(values) / 2) / np.sqrt(2 * np.pi)
