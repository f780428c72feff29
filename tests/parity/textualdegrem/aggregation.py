"""Matching and transfer of given features."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from restorebench_textualdegrem.matching import TILE, match
from restorebench_textualdegrem.transfer import transfer
from torch import Tensor

from tests.parity.comparing import Fixtures, Row, distance, tensor
from tests.parity.textualdegrem.by_rule import drawn

CASES = {
    "square_128": ((128, 128), (128, 128)),
    "rect_128x192_ref_128x256": ((128, 192), (128, 256)),
    "single_block_64": ((64, 64), (64, 64)),
}
"""Sides of the degraded image and of the guidance."""

_ALLOWED = 2e-5
_LEVELS = ("warp_l1_s1_stride2", "warp_l2_s2", "warp_l3_s4", "warp_l4_s8")
_CHANNELS = 4


def aggregation(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare matched positions, scores, and transferred features at four scales."""
    stored = fixtures.arrays(f"aggregation_{name}")
    (height, width), guidance_size = CASES[name]
    shape = (1, _CHANNELS * TILE, height // TILE, width // TILE)
    degraded = drawn(f"textual/agg/{name}/lq3", shape)
    guidance = [_level(name, number, guidance_size) for number in range(3)] + [tensor(stored["ref_l4"])]
    found = match(degraded, guidance[-1])
    ours = {
        "coarse_index": found.coarse_index,
        "corner_y": found.corner[..., 0],
        "corner_x": found.corner[..., 1],
        "block_wh": torch.tensor(found.block[::-1]),
    }
    if name != "single_block_64":  # its block wraps around, so several candidates are equal
        ours["fine_index"] = found.fine_index[0]
    for key, value in ours.items():
        same = torch.equal(value, tensor(stored[key]).to(value.dtype))
        yield Row(f"aggregation {name} {key}", 0.0 if same else math.inf, 0.0)
    scores = {"coarse_score": found.coarse_score, "fine_score": found.fine_score[0]}
    for key, value in scores.items():
        yield Row(f"aggregation {name} {key}", distance(value, stored[key]), _ALLOWED)
    transferred = transfer(found, guidance, (height // TILE**2, width // TILE**2))
    mean = distance(transferred[0].mean(dim=(0, 2, 3)), stored["warp_l1_mean"])
    yield Row(f"aggregation {name} warp_l1_mean", mean, _ALLOWED)
    transferred[0] = transferred[0][..., ::2, ::2]
    for key, value in zip(_LEVELS, transferred, strict=True):
        yield Row(f"aggregation {name} {key}", distance(value, stored[key]), _ALLOWED)


def _level(name: str, number: int, size: tuple[int, int]) -> Tensor:
    scale = 2**number
    return drawn(f"textual/agg/{name}/ref{number}", (1, _CHANNELS * scale, size[0] // scale, size[1] // scale))
