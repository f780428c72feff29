"""Shared maths of the synthesisers: scale, blur, smooth noise, splatting.

Arrays are (H, W) or (H, W, C); a pixel's centre has integer coordinates, and rows are counted downwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

Array = np.ndarray[Any, Any]

REFERENCE_SIDE = 480
"""Shorter side in pixels for which the lengths of the recipes are given."""

SPLAT_VARIANCE = 1 / 6
"""Mean variance in px^2 that a bilinear splat adds per axis: the mean of f(1-f) over f in [0, 1]."""


def scale(height: int, width: int) -> float:
    """Return the factor of all lengths: shorter side over 480 px, clamped to 0.5..4."""
    return min(max(min(height, width) / REFERENCE_SIDE, 0.5), 4.0)


def gaussian_blur(image: Array, sigma: float) -> Array:
    """Blur rows and columns with a Gaussian of `sigma` px, borders mirrored; dtype is kept."""
    return np.asarray(gaussian_filter(image, sigma, mode="reflect", truncate=3.5, axes=(0, 1)))


def splat_sigma(sigma: float) -> float:
    """Return the width in px that a point has after a bilinear splat and a Gaussian blur of `sigma` px."""
    return math.sqrt(sigma**2 + SPLAT_VARIANCE)


def smooth_noise(rng: np.random.Generator, height: int, width: int, sigma: float) -> Array:
    """Draw Gaussian-smoothed white noise, (H, W) float32, stretched to [0, 1].

    sigma is a fraction of the longer side. The white noise is drawn on a coarse grid whose size depends only on
    sigma, so the same generator gives an enlarged image the same field, enlarged.
    """
    spacing = sigma / 4
    cells = math.ceil((1 + 6 * sigma) / spacing)
    centres = (np.arange(cells) + 0.5) * spacing - 3 * sigma
    grid = rng.standard_normal((cells, cells))

    def weights(length: int) -> Array:
        positions = (np.arange(length) + 0.5) / max(height, width)
        return np.asarray(np.exp(-0.5 * ((positions[:, None] - centres) / sigma) ** 2))

    field = weights(height) @ grid @ weights(width).T
    field -= field.min()
    return (field / (field.max() or 1)).astype(np.float32)


def splat(rows: Array, columns: Array, weights: Array, height: int, width: int) -> Array:
    """Add weighted points to an empty (H, W) float64 canvas; four pixels share each point bilinearly.

    Positions are fractional pixels; shares outside the canvas are lost. The first moment is exact.
    """
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    inside = (top >= -1) & (top < height) & (left >= -1) & (left < width)
    top, left, weights = top[inside], left[inside], weights[inside]
    down, right = rows[inside] - top, columns[inside] - left
    stride = width + 2  # a border of one pixel receives the shares outside
    corner = (top + 1) * stride + left + 1
    canvas = np.zeros((height + 2) * stride)
    shares = (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (stride, down * (1 - right)),
        (stride + 1, down * right),
    )
    for offset, share in shares:
        canvas += np.bincount(corner + offset, weights * share, minlength=canvas.size)
    return canvas.reshape(height + 2, stride)[1:-1, 1:-1]


def luma(image: Array) -> Array:
    """Return the BT.601 luma, (H, W), of an (H, W, 3) image in [0, 1]."""
    return np.asarray(image @ np.array([0.299, 0.587, 0.114], dtype=image.dtype))


def finished(image: Array) -> Array:
    """Clip to [0, 1] and return contiguous float32, as a `Degraded` needs it."""
    return np.ascontiguousarray(np.clip(image, 0, 1), dtype=np.float32)
