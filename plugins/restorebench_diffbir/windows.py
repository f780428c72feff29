"""Evaluation of a network window by window, blended as in the published tiling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Window = tuple[int, int, int, int]
"""top, bottom, left, right."""

_VARIANCE = 0.01


def starts(length: int, size: int, stride: int) -> list[int]:
    """Return where windows begin along one side: every stride, the last one flush with the end."""
    if length <= size:
        return [0]
    return sorted({*range(0, length - size, stride), length - size})


def windows(height: int, width: int, size: int, stride: int) -> list[Window]:
    """Return the windows over an image, row by row."""
    rows, columns = starts(height, size, stride), starts(width, size, stride)
    return [(top, min(top + size, height), left, min(left + size, width)) for top in rows for left in columns]


def bell(height: int, width: int) -> Tensor:
    """Return weights (height, width) float64 that fall off from the centre.

    Rows have their peak at height / 2, columns at (width - 1) / 2: half a pixel of difference, as published.
    """

    def along(length: int, centre: float) -> Tensor:
        positions = torch.arange(length, dtype=torch.float64)
        return torch.exp(-((positions - centre) ** 2) / (2 * _VARIANCE * length**2)) / math.sqrt(
            2 * math.pi * _VARIANCE
        )

    return torch.outer(along(height, height / 2), along(width, (width - 1) / 2))


def blended(
    image: Tensor,
    size: int,
    stride: int,
    evaluate: Callable[[Window], Tensor],
    *,
    scale: int = 1,
    weights: Literal["bell", "uniform"] = "bell",
) -> Tensor:
    """Evaluate all windows of (B, C, H, W) and blend the results: (B, any, H * scale, W * scale).

    evaluate: maps a window to (B, any, height * scale, width * scale).
    """
    height, width = image.shape[-2:]
    total = norm = None
    for window in windows(height, width, size, stride):
        top, bottom, left, right = (scale * edge for edge in window)
        build = bell if weights == "bell" else torch.ones
        weight = build(bottom - top, right - left).to(image.device, torch.float32)
        result = evaluate(window)
        if total is None or norm is None:
            total = result.new_zeros(*result.shape[:2], height * scale, width * scale)
            norm = total.new_zeros(1, 1, height * scale, width * scale)
        total[..., top:bottom, left:right] += result * weight
        norm[..., top:bottom, left:right] += weight
    assert total is not None and norm is not None  # there is at least one window
    return total / norm
