"""Degrade a photograph as the datasets do and say how strong that is, for scripts that fit and measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restorebench.toolbox.images import pixel_digest, quantise
from restorebench.toolbox.seeding import generator

if TYPE_CHECKING:
    import numpy as np

    from restorebench.contracts import Degradation, Image

PERFECT = 100.0
"""What the PSNR of equal images counts as, in dB, as in the tables."""


def generator_for(clean: Image, task: str, severity: int, seed: int = 0) -> np.random.Generator:
    """Make the generator of one synthetic sample: it depends on the whole photograph's pixels, not on its name."""
    return generator(seed, pixel_digest(clean), task, severity)


def degrade(degradation: Degradation, clean: Image, task: str, severity: int, seed: int = 0) -> Image:
    """Degrade a whole (H, W, 3) photograph under the seed rule of the datasets, rounded to 8 bits."""
    return quantise(degradation.degrade(clean, severity, generator_for(clean, task, severity, seed)).image)


def centre_crop(array: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Cut the centred square of `side` px out of (H, W, ...), as a copy; of a shorter axis all there is."""
    top, left = (max(length - side, 0) // 2 for length in array.shape[:2])
    return array[top : top + side, left : left + side].copy()


def psnr(image: Image, clean: Image) -> float:
    """Return the PSNR in dB of (H, W, 3) images in [0, 1], all channels together; 100 where they are equal.

    What leaves the range or lies between two grey levels is scored as it is: quantise first where that matters.
    """
    import numpy as np

    error = float(np.mean((image.astype(np.float64) - clean) ** 2))
    return PERFECT if error == 0 else min(-10 * float(np.log10(error)), PERFECT)
