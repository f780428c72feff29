"""Bring images to the sizes that the networks take, and back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

LONGEST = 8
"""An image that is longer than this many times its short side is padded to that ratio by its edge."""


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Resize (B, C, H, W) by the bicubic filter, antialiased; the image itself where its size stays."""
    if image.shape[-2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bicubic", antialias=True)


def short_edge(image: Tensor, side: int) -> Tensor:
    """Resize so that the shorter side is `side` px; the longer one is cut to whole px."""
    height, width = image.shape[-2:]
    shorter = min(height, width)
    return resized(image, height * side // shorter, width * side // shorter)


def at_least(image: Tensor, side: int) -> Tensor:
    """Enlarge an image whose shorter side is below `side` px."""
    return short_edge(image, side) if min(image.shape[-2:]) < side else image


def padded(image: Tensor, multiple: int) -> Tensor:
    """Pad with zeros at the right and the bottom to a multiple."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % multiple, 0, -height % multiple))


def not_too_long(image: Tensor) -> Tensor:
    """Pad a very long image at the right or the bottom by its edge, or enlarging it would not end."""
    height, width = image.shape[-2:]
    down, right = max(0, -(-width // LONGEST) - height), max(0, -(-height // LONGEST) - width)
    return functional.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
