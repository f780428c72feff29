"""Structural similarity (Wang et al., IEEE TIP 2004) with a Gaussian or a uniform window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from restorebench import ScoringProtocol

    Array = NDArray[np.float64]

C1 = 0.01**2  # (K1 L)^2 and (K2 L)^2 of the paper, with L = 1
C2 = 0.03**2
BLOCK = 8  # output rows of one banded product: fastest of 6 to 32 at 256 and 1024 px
STRIP = 64  # rows filtered at once, so that the buffers stay in cache: fastest of 32 to 256


@dataclass(frozen=True)
class Window:
    """Taps of a separable window that sum to one, and whether (co)variances divide by n - 1."""

    taps: tuple[float, ...]
    sample_covariance: bool = False

    @property
    def variance_scale(self) -> float:
        """The factor from the population (co)variance to the one that is used."""
        pixels = len(self.taps) ** 2
        return pixels / (pixels - 1) if self.sample_covariance else 1.0


def gaussian(size: int = 11, sigma: float = 1.5) -> Window:
    """Return the window of the paper: Gaussian, population covariance."""
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return Window(tuple((weights / weights.sum()).tolist()))


def uniform(size: int = 7) -> Window:
    """Return the window that scikit-image uses by default: uniform, sample covariance."""
    return Window((1 / size,) * size, sample_covariance=True)


def ssim(restored: Tensor, clean: Tensor, window: Window | None = None) -> Tensor:
    """Score each image by structural similarity, in [-1, 1], over the pixels around which the window fits.

    Both are (B, C, H, W) float64 in [0, 1] on the CPU; the result is (B,) float64, the mean over channels.
    The window is the Gaussian one by default.

    Raises:
        ValueError: a side is shorter than the window.
    """
    return similarity(restored, clean, window or gaussian())[0].mean(dim=1)


def similarity(restored: Tensor, clean: Tensor, window: Window) -> tuple[Tensor, Tensor]:
    """Return (B, C) float64 means of the whole index and of its contrast-structure part.

    Arguments as for `ssim`.
    """
    batch, channels, height, width = restored.shape
    if min(height, width) < len(window.taps):
        raise ValueError(f"{height} x {width} px is smaller than the window of {len(window.taps)} px")
    strips = Strips(window, height, width)
    planes = zip(restored.double().flatten(0, 1).numpy(), clean.double().flatten(0, 1).numpy(), strict=True)
    means = torch.tensor([_plane(one, other, strips) for one, other in planes], dtype=torch.float64)
    return means[:, 0].view(batch, channels), means[:, 1].view(batch, channels)


class Strips:
    """A filter for pairs of planes of one size, strip by strip.

    All pairs share its buffers, as allocating memory would take as long as the arithmetic.
    """

    def __init__(self, window: Window, height: int, width: int) -> None:
        self.halo = len(window.taps) - 1
        self.scale = window.variance_scale
        self._height, self._width = height - self.halo, width - self.halo
        self._band = _band(window.taps)
        rows, columns = _round_up(min(self._height, STRIP)), _round_up(self._width)
        self._maps = np.zeros((4, rows + self.halo, columns + self.halo))
        self._once = np.empty((4, rows, columns + self.halo))
        self._twice = np.empty((4, columns, rows))

    def filtered(self, x: Array, y: Array) -> Iterator[tuple[int, Array]]:
        """Yield the first row of each strip, and its filtered (a, b, a^2, b^2) with a = x + y and b = x - y.

        x, y: (height, width) float64. Of both sides, the halo is left out. A strip is (4, columns, rows), thus
        transposed, which does not affect a mean; the next one overwrites it.
        """
        halo, maps = self.halo, self._maps
        for top in range(0, self._height, STRIP):
            rows = min(STRIP, self._height - top)
            fill = maps[:, : rows + halo, : self._width + halo]
            maps[:, rows + halo :] = 0  # a NaN of the previous strip must not reach this one
            np.add(x[top : top + rows + halo], y[top : top + rows + halo], out=fill[0])
            np.subtract(x[top : top + rows + halo], y[top : top + rows + halo], out=fill[1])
            np.multiply(fill[:2], fill[:2], out=fill[2:])
            _filter_rows(maps, self._band, self._once)
            _filter_rows(self._once.transpose(0, 2, 1), self._band, self._twice)
            yield top, self._twice[:, : self._width, :rows]


def _plane(x: Array, y: Array, strips: Strips) -> tuple[float, float]:
    """Return the mean index and contrast-structure of two (H, W) planes.

    With a = x + y and b = x - y, mu the filtered mean and v the filtered variance, the index is
    (mu_a^2 - mu_b^2 + 2 C1) (v_a - v_b + 2 C2) / ((mu_a^2 + mu_b^2 + 2 C1) (v_a + v_b + 2 C2)):
    the paper's equation 13 with four filtered maps instead of five, and fewer products.
    """
    index = contrast = 0.0
    for _, filtered in strips.filtered(x, y):
        luminance, structure = _terms(filtered, strips.scale)
        index += float(np.vdot(luminance, structure))
        contrast += float(structure.sum())
    positions = (x.shape[0] - strips.halo) * (x.shape[1] - strips.halo)
    return index / positions, contrast / positions


def _terms(filtered: Array, variance_scale: float) -> tuple[Array, Array]:
    """Return the luminance and contrast-structure maps from filtered (a, b, a^2, b^2), which are used up."""
    squared_means, variances = filtered[:2], filtered[2:]
    squared_means *= squared_means
    variances -= squared_means
    if variance_scale != 1:
        variances *= variance_scale
    return _ratio(squared_means, C1), _ratio(variances, C2)


def _ratio(pair: Array, constant: float) -> Array:
    """Return (a - b + 2 constant) / (a + b + 2 constant); the pair is overwritten."""
    a, b = pair
    a += 2 * constant
    difference: Array = a - b
    a += b
    difference /= a
    return difference


def _band(taps: tuple[float, ...]) -> Array:
    """Return the (BLOCK, BLOCK + taps - 1) matrix whose rows hold the taps, each row shifted by one more."""
    band = np.zeros((BLOCK, BLOCK + len(taps) - 1))
    for row in range(BLOCK):
        band[row, row : row + len(taps)] = taps
    return band


def _filter_rows(maps: Array, band: Array, filtered: Array) -> None:
    """Filter (M, k * BLOCK + halo, W) along its rows into (M, k * BLOCK, W), by overlapping blocks."""
    count, rows, width = filtered.shape
    block, reach = band.shape
    step, down, across = maps.strides
    shape, strides = (count, rows // block, reach, width), (step, block * down, down, across)
    views = as_strided(maps, shape, strides, writeable=False)
    np.matmul(band, views, out=filtered.reshape(count, rows // block, block, width))


def _round_up(rows: int) -> int:
    return -(-rows // BLOCK) * BLOCK


def load(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return the metric with the window of the protocol."""
    window = uniform() if protocol.options.get("window") == "uniform" else gaussian()
    return lambda restored, clean, map=None: ssim(restored, clean, window)
