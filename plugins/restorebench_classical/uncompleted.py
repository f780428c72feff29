"""Missing regions: recover the white mask, then fill it from its border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restorebench.toolbox.holes import harmonic, white_mask

if TYPE_CHECKING:
    from restorebench import Image


def fill(degraded: Image) -> Image:
    """Fill white holes of (H, W, 3) float32; return a copy if there are none, or if all of it is a hole."""
    mask = white_mask(degraded)
    return degraded.copy() if not mask.any() or mask.all() else harmonic(degraded, mask)
