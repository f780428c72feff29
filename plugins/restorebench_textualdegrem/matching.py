"""Matching: for every position of a degraded image's deepest features, the most similar position of the guidance.

The search goes from coarse to fine. A tile has 8 x 8 positions. Its centre is compared with the whole guidance, at
three dilations. Around the best position a block is taken; beyond the border of the guidance it continues at the
opposite side. Then every 3 x 3 patch of the tile is compared with every 3 x 3 patch of the block. All tiles of all
samples are processed at once. No patch is copied: products of single positions are summed over 3 x 3 positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8
"""Positions along a tile's side."""

_DILATIONS = (1, 2, 3)
_OFFSETS = (-1, 0, 1)
_REACH = 1.5  # side of a block over the guidance's share of a tile, about
_EPSILON = 1e-12  # least norm, so that an empty patch has a similarity of 0 and not NaN


class Match(NamedTuple):
    """The result of matching. T tiles, row by row; positions are those of the deepest features.

    coarse_index: (B, T), the best position for the tile's centre, row-major over the guidance.
    coarse_score: (B, T), the sum of three cosines. corner: (B, T, 2), first row and column of the block, negative
    if it begins beyond the border. block: height and width of the block.
    fine_index: (B, T, 8, 8), the best patch of the block, row-major over the patches that lie wholly inside it.
    fine_score: (B, T, 8, 8), its cosine. size: height and width of the guidance.
    """

    coarse_index: Tensor
    coarse_score: Tensor
    corner: Tensor
    block: tuple[int, int]
    fine_index: Tensor
    fine_score: Tensor
    size: tuple[int, int]


def match(degraded: Tensor, guidance: Tensor) -> Match:
    """Match (B, C, H, W), sides multiples of 8, with (B, C, Hr, Wr); any floating type, computed in float32."""
    degraded, guidance = degraded.float(), guidance.float()
    size = guidance.shape[-2], guidance.shape[-1]
    tiles = degraded.shape[-2] // TILE, degraded.shape[-1] // TILE
    score, index = _coarse(degraded, guidance)
    height, width = (_block_side(*each) for each in zip(size, tiles, strict=True))
    rows = _start(index // size[1], height, size[0])
    columns = _start(index % size[1], width, size[1])
    corner = torch.stack((rows, columns), dim=-1)
    fine_score, fine_index = _fine(degraded, guidance, corner, (height, width))
    return Match(index, score, corner, (height, width), fine_index, fine_score, size)


def places(rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn rows and columns (B, ...) of the guidance into rows of a table; beyond the border they wrap around.

    The table has a row for each position of the guidance, sample after sample.
    """
    height, width = size
    within = rows.remainder(height) * width + columns.remainder(width)
    first = torch.arange(len(within), device=within.device) * (height * width)
    return within + first.reshape(-1, *[1] * (within.ndim - 1))


def _coarse(degraded: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
    """Return score and index, (B, T) each, of the guidance position that is most similar to a tile's centre."""
    batch, channels, height, width = guidance.shape
    together = guidance.reshape(1, batch * channels, height, width)
    energy = guidance.square().sum(dim=1, keepdim=True)
    ones = energy.new_ones(1, 1, 3, 3)
    total = energy.new_zeros(())
    for dilation in _DILATIONS:
        patches = F.normalize(_centres(degraded, dilation), dim=1, eps=_EPSILON)
        kernels = patches.reshape(-1, channels, 3, 3)
        similarity = F.conv2d(together, kernels, padding=dilation, dilation=dilation, groups=batch)
        norms = F.conv2d(energy, ones, padding=dilation, dilation=dilation).sqrt().clamp(min=_EPSILON)
        total = total + similarity.reshape(batch, -1, height * width) / norms.flatten(2)
    score, index = total.max(dim=-1)
    return score, index


def _centres(degraded: Tensor, dilation: int) -> Tensor:
    """Return the 3 x 3 positions around each tile's centre, (B * T, 9 C), channel after channel."""
    middle = TILE // 2
    taps = [
        degraded[:, :, middle + down * dilation :: TILE, middle + right * dilation :: TILE]
        for down in _OFFSETS
        for right in _OFFSETS
    ]
    patches = torch.stack(taps, dim=-1).permute(0, 2, 3, 1, 4)  # (B, rows, columns, C, 9)
    return patches.reshape(-1, 9 * degraded.shape[1])


def _block_side(side: int, tiles: int) -> int:
    """Return the positions of a block along a side of the guidance, for `tiles` tiles of the degraded image."""
    return 2 * int(side // (2 * tiles) * _REACH) + 3


def _start(centre: Tensor, block: int, side: int) -> Tensor:
    """Return where a block begins along one side; negative if it is longer than the guidance."""
    first = (centre - (block - 2) // 2 - 1).clamp(min=0)
    return first.clamp(max=side - block)


def _fine(degraded: Tensor, guidance: Tensor, corner: Tensor, block: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return score and index, (B, T, 8, 8) each, of the block's patch most similar to each patch of the tile."""
    batch, channels, height, width = guidance.shape
    padded = F.pad(degraded, (1, 1, 1, 1), mode="replicate")
    windows = padded.unfold(2, TILE + 2, TILE).unfold(3, TILE + 2, TILE)  # (B, C, rows, columns, 10, 10)
    windows = windows.permute(0, 2, 3, 4, 5, 1).reshape(-1, (TILE + 2) ** 2, channels)
    rows = corner[..., 0, None] + torch.arange(block[0], device=corner.device)
    columns = corner[..., 1, None] + torch.arange(block[1], device=corner.device)
    wanted = places(rows[..., :, None], columns[..., None, :], (height, width))
    table = guidance.permute(0, 2, 3, 1).reshape(-1, channels)
    blocks = table[wanted.flatten()].reshape(len(windows), -1, channels)
    products = torch.bmm(windows, blocks.transpose(1, 2)).reshape(-1, TILE + 2, TILE + 2, *block)
    cosines = _summed_over_patches(products)  # (B * T, 8, 8, block height - 2, block width - 2)
    cosines = cosines / _norms(windows, (TILE + 2, TILE + 2))[:, :, :, None, None]
    cosines = cosines / _norms(blocks, block)[:, None, None]
    score, index = cosines.flatten(3).max(dim=-1)
    shape = (batch, -1, TILE, TILE)
    return score.reshape(shape), index.reshape(shape)


def _summed_over_patches(products: Tensor) -> Tensor:
    """Sum products of single positions, (N, h, w, H, W), to those of 3 x 3 patches; each side gets 2 shorter.

    Rows are summed first, then columns. This takes six sums instead of nine, and a quarter of the products that
    whole patches would need.
    """
    _, height, width, tall, wide = products.shape
    rows = [products[:, a : a + height - 2, :, a : a + tall - 2] for a in range(3)]
    down = rows[0] + rows[1] + rows[2]
    columns = [down[:, :, b : b + width - 2, :, b : b + wide - 2] for b in range(3)]
    return columns[0] + columns[1] + columns[2]


def _norms(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the norms of all 3 x 3 patches of (N, h * w, C): (N, h - 2, w - 2)."""
    energy = features.square().sum(dim=-1).reshape(-1, 1, *size)
    summed = F.conv2d(energy, energy.new_ones(1, 1, 3, 3))
    return summed.sqrt().clamp(min=_EPSILON)[:, 0]
