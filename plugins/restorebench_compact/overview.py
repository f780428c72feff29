"""Measurements on a whole picture, because a crop does not show the picture's tone, haze and light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from restorebench import Image

    Array = np.ndarray[Any, Any]

QUANTILES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999)
PLANES = 5  # red, green, blue, the darkest and the brightest of the three
STATISTICS = 2 * PLANES * len(QUANTILES)
GRID_SIDE, GRID_PLANES = 64, 5
_LEVELS = 1020  # a quarter of a grey level
_OFFSET = 0.01  # keeps logarithms of black finite
_LOG_CENTRE, _LOG_SPREAD = -2.0, 1.5  # bring logarithms of [0, 1] to about [-2, 2]


def statistics(image: Image) -> Array:
    """Return quantiles of (H, W, 3) in [0, 1], linear and logarithmic, as (STATISTICS,) float32.

    They are quantiles of the red, green and blue values and of the darkest and brightest channel of each pixel, to
    a quarter of a grey level, and are scaled to about [-2, 2].
    """
    planes = [*np.moveaxis(image, 2, 0), image.min(axis=2), image.max(axis=2)]
    values = np.concatenate([_quantiles(plane) for plane in planes])
    logarithms = (np.log(values + _OFFSET) - _LOG_CENTRE) / _LOG_SPREAD
    return np.concatenate([4 * (values - 0.5), logarithms]).astype(np.float32)


def _quantiles(plane: Array) -> Array:
    """Return the quantiles of one plane by counting its levels, which is ten times as fast as sorting."""
    counts = np.bincount(np.rint(plane * _LEVELS).astype(np.int64).ravel().clip(0, _LEVELS), minlength=_LEVELS + 1)
    found = np.searchsorted(counts.cumsum(), np.array(QUANTILES) * (plane.size - 1), side="right")
    return found / _LEVELS


def grid(image: Image) -> Array:
    """Reduce (H, W, 3) in [0, 1] to (GRID_PLANES, 64, 64) float32 cells, scaled to [-2, 2].

    The planes are the mean red, green and blue, the least value (the dark channel of He et al., 2009, is one of
    small windows) and the greatest value of each cell. If a side is below 64 px, cells repeat pixels.
    """
    edges = [np.arange(GRID_SIDE) * length // GRID_SIDE for length in image.shape[:2]]
    means = np.moveaxis(_reduced(np.add, image, edges), 2, 0) / _areas(edges, image.shape[:2])
    least = _reduced(np.minimum, image.min(axis=2), edges)
    greatest = _reduced(np.maximum, image.max(axis=2), edges)
    return (4 * (np.concatenate([means, least[None], greatest[None]]) - 0.5)).astype(np.float32)


def _reduced(operation: np.ufunc, values: Array, edges: list[Array]) -> Array:
    """Reduce (H, W, ...) over the cells that begin at the edges of rows and columns."""
    rows: Array = operation.reduceat(values, edges[0], axis=0)
    cells: Array = operation.reduceat(rows, edges[1], axis=1)
    return cells


def _areas(edges: list[Array], lengths: tuple[int, ...]) -> Array:
    """Count the pixels of each cell; where edges coincide `reduceat` takes one pixel."""
    sides = [np.maximum(np.diff(edge, append=length), 1) for edge, length in zip(edges, lengths, strict=True)]
    areas: Array = sides[0][:, None] * sides[1]
    return areas
