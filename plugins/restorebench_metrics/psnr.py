"""Peak signal-to-noise ratio of whole images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import ScoringProtocol


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Score each image by peak signal-to-noise ratio, in dB.

    Both are (B, C, H, W) float64 in [0, 1] on the CPU; the result is (B,) float64, inf where they are equal.
    Peak is 1, all channels together.
    """
    return torch.stack([_decibels(one, other) for one, other in zip(restored, clean, strict=True)])


def _decibels(restored: Tensor, clean: Tensor) -> Tensor:
    # One image at a time and as one dot product, so that the last bit does not depend on the rest of the batch.
    error = (restored - clean).flatten()
    return -10 / math.log(10) * (error.dot(error) / error.numel()).log()


def load(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return the metric, the same for any protocol, as protocols only affect the preparation of the pixels."""
    return lambda restored, clean, map=None: psnr(restored, clean)
