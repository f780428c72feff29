"""Preparation of images for CLIP's image encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restorebench.toolbox.clip_images import for_clip

if TYPE_CHECKING:
    from torch import Tensor


def centred(images: Tensor) -> Tensor:
    """Cut the largest centred square out of (B, C, H, W)."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def for_encoder(images: Tensor, size: int) -> Tensor:
    """Turn (B, 3, H, W) RGB in [0, 1] into normalised (B, 3, size, size).

    The centre is cut out before resizing. CLIP itself resizes first, so its filter also uses pixels around the
    centre.
    """
    return for_clip(centred(images), size, crop="whole")
