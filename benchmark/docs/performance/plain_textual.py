"""Matching and transfer by a loop over samples and tiles, patch by patch: what the batched form is held to.

The steps of the published method in their order, each written out: patches are unfolded, compared and folded
back. Blocks that go beyond the guidance go round, as negative indices do there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 8


def plain_transfer(degraded: Tensor, guidance: Sequence[Tensor]) -> list[Tensor]:
    """Match (B, C, H, W) with the last of `guidance` and bring all of its levels: [(B, C, s H, s W), ...]."""
    samples = [
        _one(degraded[number : number + 1], [level[number : number + 1] for level in guidance])
        for number in range(len(degraded))
    ]
    return [torch.cat(levels) for levels in zip(*samples, strict=True)]


def _one(degraded: Tensor, guidance: list[Tensor]) -> list[Tensor]:
    tall, wide = guidance[-1].shape[-2:]
    down, across = degraded.shape[-2] // SIDE, degraded.shape[-1] // SIDE
    sides = 2 * int(tall // (2 * down) * 1.5) + 1, 2 * int(wide // (2 * across) * 1.5) + 1
    padded = F.pad(degraded, (1, 1, 1, 1), mode="replicate")
    rows: list[list[list[Tensor]]] = [[] for _ in guidance]
    for row in range(down):
        tiles: list[list[Tensor]] = [[] for _ in guidance]
        for column in range(across):
            top, left = SIDE * row, SIDE * column
            window = padded[:, :, top : top + SIDE + 2, left : left + SIDE + 2]
            for level, tile in enumerate(_tile(window, guidance, sides)):
                tiles[level].append(tile)
        for level, found in enumerate(tiles):
            rows[level].append(found)
    return [torch.cat([torch.cat(row, dim=-1) for row in level], dim=-2) for level in rows]


def _tile(window: Tensor, guidance: list[Tensor], sides: tuple[int, int]) -> list[Tensor]:
    """Return one tile of all levels; window: 10 x 10 places."""
    deepest = guidance[-1]
    tall, wide = deepest.shape[-2:]
    total = torch.zeros(tall * wide)
    for dilation in (1, 2, 3):
        taps = torch.arange(5 - dilation, 6 + dilation, dilation)
        patch = F.normalize(window[0][:, taps][:, :, taps].flatten(), dim=0)
        everywhere = F.normalize(F.unfold(deepest, 3, dilation=dilation, padding=dilation)[0], dim=0)
        total = total.to(patch) + patch @ everywhere
    best = int(total.argmax())
    top = _start(best // wide, sides[0], tall)
    left = _start(best % wide, sides[1], wide)
    block = _block(deepest, top, left, sides, 1)
    ours = F.normalize(F.unfold(window, 3)[0], dim=0)
    theirs = F.normalize(F.unfold(block, 3)[0], dim=0)
    score, index = (ours.T @ theirs).max(dim=1)
    out = []
    for level in guidance:
        scale = level.shape[-1] // wide
        size = 3 * scale
        patches = F.unfold(_block(level, top, left, sides, scale), size, stride=scale)[:, :, index]
        fold = {"output_size": SIDE * scale, "kernel_size": size, "stride": scale, "padding": scale}
        summed = F.fold(patches, **fold) / F.fold(torch.ones_like(patches), **fold)
        weights = F.interpolate(score.reshape(1, 1, SIDE, SIDE), scale_factor=scale, mode="bilinear")
        out.append(summed * weights)
    return out


def _start(centre: int, side: int, length: int) -> int:
    first = max(centre - side // 2 - 1, 0)
    return length - 1 - (side + 1) if first + side + 1 > length - 1 else first


def _block(level: Tensor, top: int, left: int, sides: tuple[int, int], scale: int) -> Tensor:
    """Cut a block out of a level, round its other side where it goes beyond."""
    rows = torch.arange(top * scale, (top + sides[0] + 2) * scale) % level.shape[-2]
    columns = torch.arange(left * scale, (left + sides[1] + 2) * scale) % level.shape[-1]
    return level[:, :, rows][..., columns]
