"""Holes in images: search for exactly white areas, and filling from their border."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_opening, binary_propagation, distance_transform_edt
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import cg

if TYPE_CHECKING:
    from restorebench.contract.values import Image

    Mask = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

WHITE = 1 - 0.5 / 255  # holes are exactly white in 8 bits
THINNEST_PX = 3  # specks and lines thinner than this are highlights, not holes


def white_mask(degraded: Image) -> Mask:
    """Return the mask (H, W) of an image's holes: the exactly white areas that contain a 3x3 square."""
    white = np.all(degraded >= WHITE, axis=2)
    core = binary_opening(white, np.ones((THINNEST_PX, THINNEST_PX), bool))
    whole: Mask = binary_propagation(core, mask=white)
    return whole


def harmonic(image: Image, mask: Mask) -> Image:
    """Fill the mask (H, W) of an image (H, W, 3) by Laplace's equation, with the known pixels as its border."""
    height, width = mask.shape
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    nearest = distance_transform_edt(mask, return_distances=False, return_indices=True)
    start = image[tuple(nearest)]
    rows, columns = np.nonzero(mask)
    degree = np.zeros(len(rows))
    border = np.zeros((len(rows), 3))
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        degree += inside
        here = np.nonzero(inside)[0]
        other = number[y[here], x[here]]
        known = other < 0
        border[here[known]] += image[y[here[known]], x[here[known]]]
        pairs.append((here[~known], other[~known]))
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    links = csr_matrix((np.ones(len(first)), (first, second)), shape=(len(rows), len(rows)))
    system = (diags_array(degree) - links).tocsr()
    jacobi = diags_array(1 / degree)
    filled = image.copy()
    for channel in range(3):
        solution, _ = cg(system, border[:, channel], x0=start[mask][:, channel], rtol=1e-4, maxiter=500, M=jacobi)
        filled[rows, columns, channel] = solution
    return filled
