"""Transfer of the guidance's features to the positions that they match, at every scale, weighted by similarity.

A patch of 3 x 3 positions is transferred to each position, so nine overlap at every position (fewer at the borders
of a tile), and their mean is taken. At finer scales a position is a square of pixels. The pixels of a square form
one row of a table, so every scale uses the same nine rows per position.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench_textualdegrem.matching import TILE, Match, places

_OFFSETS = (-1, 0, 1)


def transfer(found: Match, guidance: Sequence[Tensor], tiles: tuple[int, int]) -> list[Tensor]:
    """Transfer features (B, C, s Hr, s Wr) of any scales s to the degraded image's positions: (B, C, s H, s W).

    tiles: how many tiles the degraded image has, down and across.
    """
    rows, shares = _bags(found, tiles)
    return [_transferred(level, found, rows, shares, tiles) for level in guidance]


def _bags(found: Match, tiles: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the nine rows of a table that make up each position, and their shares: (B * H * W, 9) each."""
    across = found.block[1] - 2
    centre_rows = found.corner[..., 0, None, None] + 1 + found.fine_index // across
    centre_columns = found.corner[..., 1, None, None] + 1 + found.fine_index % across
    inside = torch.ones_like(found.fine_score[:1, :1])
    # positions beyond the tile are arbitrary, because their share is zero
    padded = [F.pad(each.float(), (1, 1, 1, 1), mode="replicate").long() for each in (centre_rows, centre_columns)]
    inside = F.pad(inside, (1, 1, 1, 1))
    rows, shares = [], []
    for down in _OFFSETS:
        for right in _OFFSETS:
            near = (..., slice(1 - down, 1 - down + TILE), slice(1 - right, 1 - right + TILE))
            rows.append(places(padded[0][near] + down, padded[1][near] + right, found.size))
            shares.append(inside[near])
    share = torch.stack(shares, dim=-1)
    share = (share / share.sum(dim=-1, keepdim=True)).expand(*found.fine_index.shape, len(shares))
    return _by_position(torch.stack(rows, dim=-1), tiles), _by_position(share, tiles)


def _by_position(values: Tensor, tiles: tuple[int, int]) -> Tensor:
    """Put (B, T, 8, 8, 9), tile after tile, into the order of the image: (B * H * W, 9)."""
    together = values.reshape(-1, *tiles, TILE, TILE, values.shape[-1])
    return together.permute(0, 1, 3, 2, 4, 5).reshape(-1, values.shape[-1])


def _transferred(level: Tensor, found: Match, rows: Tensor, shares: Tensor, tiles: tuple[int, int]) -> Tensor:
    """Transfer the features of one scale."""
    batch, channels = level.shape[:2]
    tall, wide = found.size
    scale = level.shape[-1] // wide
    squares = level.reshape(batch, channels, tall, scale, wide, scale).permute(0, 2, 4, 1, 3, 5)
    table = squares.reshape(batch * tall * wide, -1)
    summed = F.embedding_bag(rows, table, mode="sum", per_sample_weights=shares.to(table.dtype))
    height, width = (TILE * count for count in tiles)
    placed = summed.reshape(batch, height, width, channels, scale, scale).permute(0, 3, 1, 4, 2, 5)
    image = placed.reshape(batch, channels, height * scale, width * scale)
    return image * _weights(found.fine_score, scale, tiles).to(image.dtype)


def _weights(score: Tensor, scale: int, tiles: tuple[int, int]) -> Tensor:
    """Resize the scores (B, T, 8, 8), each tile alone, to a map (B, 1, H, W) of a finer scale."""
    side = TILE * scale
    resized = F.interpolate(score.flatten(0, 1)[:, None], size=(side, side), mode="bilinear", align_corners=False)
    together = resized.reshape(-1, *tiles, side, side).permute(0, 1, 3, 2, 4)
    return together.reshape(-1, 1, tiles[0] * side, tiles[1] * side)
