"""Hand-made statistics of an image that tell the ten degradations apart."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, grey_opening, median_filter, minimum_filter, uniform_filter

from restorebench.toolbox.holes import white_mask
from restorebench_classical.noise import estimate_sigma
from restorebench_classical.shadow import most_likely

if TYPE_CHECKING:
    from restorebench import Image

    Plane = np.ndarray[tuple[int, int], np.dtype[np.float32]]

LONGEST_PX = 512  # statistics are of the central part, so that the cost is limited for any size
SMALL_PX = 128  # side of the reduced image in which shadows are searched
TINY = 1e-4  # below a fortieth of a grey level; keeps logarithms finite
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601


def features(image: Image) -> np.ndarray:
    """Return the statistics of (H, W, 3) float32 in [0, 1] as (K,) float64, finite for any size from 1x1."""
    height, width = image.shape[:2]
    top, left = max(height - LONGEST_PX, 0) // 2, max(width - LONGEST_PX, 0) // 2
    image = image[top : top + LONGEST_PX, left : left + LONGEST_PX]
    luma = image @ LUMA
    parts = [_tone(image, luma), _haze(image), _detail(image, luma), _blocks(luma), _bright(image), _holes(image)]
    parts += [_gradients(luma), _illumination(image, luma), _shadow(image)]
    return np.concatenate([np.hstack([np.atleast_1d(each) for each in part]).astype(np.float64) for part in parts])


def _log(value: npt.ArrayLike) -> np.ndarray:
    return np.log(np.maximum(value, TINY))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _tone(image: Image, luma: Plane) -> list[npt.ArrayLike]:
    """Brightness, contrast, saturation and the ends of the histogram."""
    quantiles = np.quantile(luma, (0.01, 0.1, 0.5, 0.9, 0.99))
    saturation = image.max(axis=2) - image.min(axis=2)
    return [luma.mean(), luma.std(), quantiles, _log(image.max(axis=2).max()), _mean(saturation)]


def _haze(image: Image) -> list[npt.ArrayLike]:
    """Dark channel (He et al., 2009): its mean, its means over three parts of the image, and its quantiles."""
    side = 2 * round(0.03 * min(image.shape[:2])) + 1
    dark = minimum_filter(image.min(axis=2), side)
    thirds = np.array_split(dark, 3, axis=0)
    return [dark.mean(), [_mean(third) for third in thirds], np.quantile(dark, (0.02, 0.5, 0.9))]


def _detail(image: Image, luma: Plane) -> list[npt.ArrayLike]:
    """Noise, and the decrease of energy from band to band."""
    sigma = estimate_sigma(image)
    levels = [luma, *(gaussian_filter(luma, s) for s in (0.7, 1.4, 2.8, 5.6))]
    bands = [_log((fine - coarse).std()) for fine, coarse in pairwise(levels)]
    opponent = image[..., 0] - image[..., 2]
    chroma = _log((opponent - gaussian_filter(opponent, 1)).std())
    quiet = _log(np.quantile(np.abs(luma - levels[1]), (0.1, 0.5, 0.99)))
    return [_log(sigma), bands, np.diff(bands), chroma, chroma - bands[0], quiet]


def _blocks(luma: Plane) -> list[npt.ArrayLike]:
    """Steps between pixels at the strongest of eight phases relative to the others, both ways (JPEG's grid)."""
    ratios = []
    for axis in (0, 1):
        step = np.abs(np.diff(luma, axis=axis))
        excess = np.abs(np.diff(step, axis=axis)).mean(axis=1 - axis)
        step = np.minimum(step, 0.1).mean(axis=1 - axis)
        for values in (step, excess):
            phases = np.array([_mean(values[phase::8]) for phase in range(8)])
            ratios.append(_log(phases.max() + TINY) - _log(np.median(phases) + TINY))
    flat = np.mean(np.abs(np.diff(luma, axis=1)) < 0.5 / 255) if luma.shape[1] > 1 else 1.0
    return [ratios, flat]


def _bright(image: Image) -> list[npt.ArrayLike]:
    """Brightness that openings along rows and columns remove (rain), and tails of the median residual (snow)."""
    dark = image.min(axis=2)
    across = [_mean(dark - grey_opening(dark, size=(1, span))) for span in (3, 9, 21)]
    along = [_mean(dark - grey_opening(dark, size=(span, 1))) for span in (3, 9, 21)]
    residual = dark - median_filter(dark, 11, mode="reflect")
    tails = np.quantile(residual, (0.01, 0.05, 0.95, 0.99))
    skew = _mean(residual**3) / (float(residual.std()) ** 3 + TINY)
    return [_log(across), _log(along), _log(across) - _log(along), tails, tails[3] + tails[0], skew]


def _holes(image: Image) -> list[npt.ArrayLike]:
    """Share of exactly white areas, and of all nearly white pixels."""
    mask = white_mask(image)
    return [np.sqrt(mask.mean()), _log(mask.mean()), _mean(image.min(axis=2) > 0.98)]


def _gradients(luma: Plane) -> list[npt.ArrayLike]:
    """Orientation of gradients (structure tensor), their sparsity, and the sharpest edges."""
    if min(luma.shape) < 2:
        return [np.zeros(9)]
    down, right = np.gradient(luma)
    energy = _mean(down**2) + _mean(right**2) + TINY**2
    both = (_mean(right**2) - _mean(down**2)) / energy, 2 * _mean(down * right) / energy
    strength = np.hypot(down, right)
    sharp = _log(np.quantile(strength, (0.5, 0.9, 0.99)))
    second = np.abs(luma - uniform_filter(luma, 3))
    ratio = _log(np.quantile(second, 0.99)) - sharp[2]
    return [both, np.hypot(*both), sharp, sharp[2] - sharp[0], ratio, _log(np.quantile(second, 0.5))]


def _illumination(image: Image, luma: Plane) -> list[npt.ArrayLike]:
    """Bimodality of the smoothed brightness, and the colour of its dark half (shadows are bluish)."""
    smooth = gaussian_filter(np.log(luma + 0.02), 0.03 * min(luma.shape))
    middle = np.median(smooth)
    spread = smooth.std() + TINY
    kurtosis = _mean((smooth - smooth.mean()) ** 4) / spread**4
    tint = np.log(image[..., 2] + 0.02) - np.log(image[..., 0] + 0.02)
    low = tint[smooth <= middle].mean()
    high = _mean(tint[smooth > middle])
    local = _log(gaussian_filter((luma - gaussian_filter(luma, 2)) ** 2, 8))
    return [spread, kurtosis, low - high, tint.mean(), local.std(), np.quantile(local, (0.05, 0.95))]


def _shadow(image: Image) -> list[npt.ArrayLike]:
    """Evidence, step, tint and size of the most shadow-like region, in a reduced image."""
    factor = max(min(image.shape[:2]) // SMALL_PX, 1)
    height, width = (length // factor for length in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    found = most_likely(blocks.mean(axis=(1, 3)))
    if found is None:
        return [np.zeros(4)]
    return [found.evidence, found.step.mean(), found.step[0] - found.step[2], found.mask.mean()]
