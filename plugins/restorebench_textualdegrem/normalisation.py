"""Normalisation over channels, used by both kinds of block."""

from __future__ import annotations

import torch
from torch import Tensor


def deviations(features: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return features minus their mean over channels, and one over their standard deviation, both float32.

    features: (N, C, H, W). It takes two passes; torch's own variance over channels takes six times as long on a
    CPU.
    """
    given = features.float()
    moved = given - given.mean(dim=1, keepdim=True)
    return moved, torch.rsqrt(moved.square().mean(dim=1, keepdim=True) + epsilon)
