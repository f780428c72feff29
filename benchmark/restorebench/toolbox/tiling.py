"""Overlapping tiles of an image, and blending of the restored tiles without seams."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def starts(length: int, tile: int, overlap: int, multiple: int = 1) -> list[int]:
    """Return where tiles begin along one side: multiples of `multiple`, with the last tile flush with the end.

    length and tile must be multiples of `multiple`. Neighbours share at least `overlap` px.
    """
    if tile >= length:
        return [0]
    step = (tile - overlap) // multiple * multiple
    if step <= 0:
        raise ValueError(f"tiles of {tile} px cannot overlap by {overlap} px (in steps of {multiple})")
    return [*range(0, length - tile, step), length - tile]


def ramp(tile: int, overlap: int, first: bool, last: bool) -> Tensor:
    """Return the (tile,) float32 blending weights along one side: linear over each shared edge, never zero."""
    import torch

    weight = torch.ones(tile)
    shared = min(overlap, tile)
    if shared:
        rise = torch.arange(1, shared + 1, dtype=torch.float32) / (shared + 1)
        if not first:
            weight[:shared] = torch.minimum(weight[:shared], rise)
        if not last:
            weight[-shared:] = torch.minimum(weight[-shared:], rise.flip(0))
    return weight


def blend(
    height: int,
    width: int,
    tile: int,
    overlap: int,
    multiple: int,
    restore: Callable[[int, int, int, int], Tensor],
) -> Tensor:
    """Restore a (B, C, height, width) image tile by tile.

    restore(top, left, tile_height, tile_width) returns one restored tile, (B, C, tile_height, tile_width).
    """
    import torch

    tile = max(tile // multiple, 1) * multiple
    tile_height, tile_width = min(tile, height), min(tile, width)
    rows, columns = starts(height, tile, overlap, multiple), starts(width, tile, overlap, multiple)
    total: Tensor | None = None
    weights = torch.zeros(1, 1, height, width)
    for top in rows:
        for left in columns:
            down = ramp(tile_height, overlap, top == rows[0], top == rows[-1])
            across = ramp(tile_width, overlap, left == columns[0], left == columns[-1])
            weight = (down[:, None] * across[None, :])[None, None]
            restored = restore(top, left, tile_height, tile_width)
            if total is None:
                total = restored.new_zeros(*restored.shape[:2], height, width)
                weights = weights.to(restored.device)
            window = (..., slice(top, top + tile_height), slice(left, left + tile_width))
            total[window] += restored * weight.to(restored.device)
            weights[window] += weight.to(restored.device)
    assert total is not None  # there is at least one tile
    return total / weights
