"""Transform-domain shrinkage over every window of an image, for the noise and JPEG methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import dct

if TYPE_CHECKING:
    from restorebench import Image

    Plane = np.ndarray[tuple[int, int], np.dtype[np.float32]]

SIDE = 8
STRIP_PX = 32_768  # windows transformed at once: 8 MiB per plane for an image of any size

OPPONENT = np.array(
    [[1 / 3, 1 / 3, 1 / 3], [0.5, 0, -0.5], [0.25, -0.5, 0.25]], dtype=np.float32
)  # BM3D's colour transform (Dabov et al., 2007): the first plane has most of the signal


def opponent(image: Image) -> Image:
    """Convert (H, W, 3) RGB to luminance and two opponent colours; noise is scaled by `opponent_gain`."""
    return image @ OPPONENT.T


def rgb(planes: Image) -> Image:
    """Undo `opponent`."""
    return planes @ np.linalg.inv(OPPONENT).T.astype(np.float32)


def opponent_gain() -> np.ndarray:
    """Return the factor for each plane, (3,), by which white noise of equal strength in R, G, B is scaled."""
    return np.sqrt(np.square(OPPONENT).sum(1))


def _basis(side: int) -> np.ndarray:
    one = dct(np.eye(side), axis=0, norm="ortho")
    return np.kron(one, one).astype(np.float32)  # (side², side²), rows are basis images


def shrink(plane: Plane, threshold: float, side: int = SIDE, pilot: Plane | None = None) -> Plane:
    """Shrink the DCT of every window of a plane (H, W) and average the overlapping estimates.

    Without a pilot, coefficients below `threshold` are set to zero and windows are weighted by their sparsity
    (Guleryuz 2007; Yu and Sapiro 2011, "DCT image denoising"). With a pilot, an empirical Wiener gain
    p²/(p²+threshold²) is used, as in BM3D's second step. The mean of a window is always kept. Any size works.
    """
    height, width = plane.shape
    reach = side - 1
    padded = np.pad(plane, reach, mode="symmetric")
    guide = None if pilot is None else np.pad(pilot, reach, mode="symmetric")
    basis = _basis(side)
    total = np.zeros_like(padded)
    weights = np.zeros_like(padded)
    rows = padded.shape[0] - reach
    strip = max(STRIP_PX // padded.shape[1], 1)
    for top in range(0, rows, strip):
        count = min(strip, rows - top)
        patches = _windows(padded, top, count, side)
        spectrum = patches @ basis.T
        if guide is None:
            kept = np.abs(spectrum) >= threshold
            kept[:, 0] = True
            weight = 1 / kept.sum(1, dtype=np.float32)
            spectrum *= kept
        else:
            power = np.square(_windows(guide, top, count, side) @ basis.T)
            gain = power / (power + np.float32(threshold**2 + 1e-12))
            gain[:, 0] = 1
            weight = 1 / np.square(gain).sum(1)
            spectrum *= gain
        estimates = (spectrum @ basis) * weight[:, None]
        _add(total, weights, estimates, weight, top, count, side)
    inner = slice(reach, reach + height), slice(reach, reach + width)
    return (total[inner] / weights[inner]).astype(np.float32)


def _windows(plane: Plane, top: int, count: int, side: int) -> np.ndarray:
    view = np.lib.stride_tricks.sliding_window_view(plane[top : top + count + side - 1], (side, side))
    return view.reshape(-1, side * side)  # (count * columns, side²)


def _add(
    total: Plane, weights: Plane, estimates: np.ndarray, weight: np.ndarray, top: int, count: int, side: int
) -> None:
    columns = total.shape[1] - side + 1
    estimates = estimates.T.reshape(side, side, count, columns)
    weight = weight.reshape(count, columns)
    for row in range(side):
        for column in range(side):
            window = slice(top + row, top + row + count), slice(column, column + columns)
            total[window] += estimates[row, column]
            weights[window] += weight
