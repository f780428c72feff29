"""Scores for where PSNR of whole images misleads: of a part, with the mean grey matched, of clean inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from restorebench import Space
from restorebench.toolbox.scoring import luma
from restorebench_metrics.psnr import psnr

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import ScoringProtocol

THRESHOLD = 0.5
HALF_STEP = 0.5 / 255


def region_psnr(restored: Tensor, clean: Tensor, region: Tensor) -> Tensor:
    """Score the pixels of a region by PSNR, in dB.

    restored, clean: (B, C, H, W) float64 in [0, 1] on the CPU. region: (B, 1, H, W) bool. Returns (B,)
    float64: NaN if the region is empty, inf if it is restored perfectly.
    """
    scores = []
    for one, other, inside in zip(restored, clean, region, strict=True):
        kept = inside.expand_as(one)
        scores.append(psnr(one[kept].view(1, -1), other[kept].view(1, -1)))
    return torch.cat(scores)


def mean_aligned_psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Score by PSNR, in dB, after one gain per image gives it the mean grey of the ground truth.

    This is the GT-mean practice of the low-light literature (KinD, LLFlow, Retinexformer): grey is the full-range
    BT.601 luma; the result is clipped and not rounded again. As it uses the ground truth, show it but never rank
    by it. Both are (B, 3, H, W) float64 in [0, 1] on the CPU; the result is (B,) float64. A black image stays
    black.
    """
    found = luma(restored, Space.Y_FULL).mean(dim=(1, 2, 3), keepdim=True)
    wanted = luma(clean, Space.Y_FULL).mean(dim=(1, 2, 3), keepdim=True)
    gain = torch.where(found == 0, 1.0, wanted / found)
    return psnr((restored * gain).clamp(0, 1), clean)


def altered(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the share of pixels that differ in any channel by half a step of 8 bits or more.

    Both are (B, C, H, W) float64 in [0, 1] on the CPU; the result is (B,) float64 in [0, 1].
    """
    differs = (restored - clean).abs().amax(dim=1) >= HALF_STEP
    return differs.double().mean(dim=(1, 2))


def load_marked(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return PSNR over the pixels that the map marks (above one half)."""
    return lambda restored, clean, map: region_psnr(restored, clean, map.cpu() > THRESHOLD)


def load_unmarked(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return PSNR over the pixels that the map does not mark (below one half)."""
    return lambda restored, clean, map: region_psnr(restored, clean, map.cpu() < THRESHOLD)


def load_mean_aligned(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return PSNR after matching the mean grey."""
    return lambda restored, clean, map=None: mean_aligned_psnr(restored, clean)


def load_altered(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return the share of altered pixels."""
    return lambda restored, clean, map=None: altered(restored, clean)
