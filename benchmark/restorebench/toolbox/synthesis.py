"""Seeding, degrading and cropping of photographs, for datasets and for scripts that fit and measure like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.contract.catalog import discover
from restorebench.contract.tasks import TEN, TEN_NAMES
from restorebench.contract.values import Runtime
from restorebench.toolbox.images import pixel_digest, quantise
from restorebench.toolbox.options import loaded
from restorebench.toolbox.seeding import generator

if TYPE_CHECKING:
    import numpy as np

    from restorebench.contract.values import Degradation, Image

PERFECT = 100.0
"""The PSNR that equal images get, in dB, as in the tables."""


def synthesisers(tasks: Sequence[str] = TEN_NAMES) -> Mapping[str, Degradation]:
    """Load the degradations of tasks with their default options, for scripts that fit, train and measure.

    It searches for all plugins: call it once.

    >>> sorted(synthesisers(["noisy", "hazy"]))
    ['hazy', 'noisy']
    """
    find = discover().find
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, find)
    return {task: loaded(find("degradation", task), {}, runtime) for task in tasks}


def generator_for(clean: Image, task: str, severity: int, seed: int = 0) -> np.random.Generator:
    """Return the generator of a synthetic sample; it depends on the whole photograph's pixels, not on its name."""
    return generator(seed, pixel_digest(clean), task, severity)


def degrade(degradation: Degradation, clean: Image, task: str, severity: int, seed: int = 0) -> Image:
    """Degrade a whole (H, W, 3) photograph under the seed rule of the datasets, rounded to 8 bits."""
    return quantise(degradation.degrade(clean, severity, generator_for(clean, task, severity, seed)).image)


def centre_crop(array: np.ndarray[Any, Any], side: int | None) -> np.ndarray[Any, Any]:
    """Cut the centred square of `side` px out of (H, W, ...); a shorter axis is kept whole. None cuts nothing."""
    return array if side is None else centre_cut(array, *(min(length, side) for length in array.shape[:2]))


def centre_cut(array: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """Copy a centred rectangle out of (H, W, ...); if the margin is odd, one px more is cut below or right."""
    top, left = (array.shape[0] - height) // 2, (array.shape[1] - width) // 2
    return array[top : top + height, left : left + width].copy()


def psnr(image: Image, clean: Image) -> float:
    """Return the PSNR in dB of (H, W, 3) images in [0, 1], all channels together; 100 for equal images.

    Values are neither clipped nor rounded: quantise first where that matters.
    """
    import numpy as np

    error = float(np.mean((image.astype(np.float64) - clean) ** 2))
    return PERFECT if error == 0 else min(-10 * float(np.log10(error)), PERFECT)
