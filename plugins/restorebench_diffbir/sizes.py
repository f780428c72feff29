"""Resizing and padding of images to the sizes that the networks take."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

LONGEST = 8
"""An image whose long side is more than this many times its short side is padded to that ratio."""


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Resize (B, C, H, W) by the antialiased bicubic filter; return the image itself if it has the size."""
    if image.shape[-2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bicubic", antialias=True)


def short_edge(image: Tensor, side: int) -> Tensor:
    """Resize so that the shorter side is `side` px; the longer one is rounded down to whole px."""
    height, width = image.shape[-2:]
    shorter = min(height, width)
    return resized(image, height * side // shorter, width * side // shorter)


def at_least(image: Tensor, side: int) -> Tensor:
    """Enlarge an image whose shorter side is below `side` px."""
    return short_edge(image, side) if min(image.shape[-2:]) < side else image


def padded(image: Tensor, multiple: int) -> Tensor:
    """Pad with zeros at the right and the bottom to multiples of `multiple`."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % multiple, 0, -height % multiple))


def not_too_long(image: Tensor) -> Tensor:
    """Repeat the right or bottom edge of a very long image, which would become huge when enlarged."""
    height, width = image.shape[-2:]
    down, right = max(0, -(-width // LONGEST) - height), max(0, -(-height // LONGEST) - width)
    return functional.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
