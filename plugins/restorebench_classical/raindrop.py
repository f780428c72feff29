"""Raindrops on glass: no method without a network was found to gain, so the input is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorebench import Image


def keep(degraded: Image) -> Image:
    """Return a copy of the input, (H, W, 3) float32."""
    return degraded.copy()
