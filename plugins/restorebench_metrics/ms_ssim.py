"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import avg_pool2d

from restorebench_metrics.ssim import gaussian, similarity

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import ScoringProtocol

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # table of the paper, scales from fine to coarse
MINIMUM = 161  # px; from this side on, the fifth scale is at least as large as the 11 px window


def ms_ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Score each image by structural similarity over five scales, in [0, 1].

    Both are (B, C, H, W) float64 in [0, 1] on the CPU; the result is (B,) float64, the mean over channels.
    The score is the product of the contrast-structure of the first four scales and the whole index of the fifth,
    with negative values set to 0, each to the power of its weight. Between scales, 2 x 2 pixels are averaged. An
    odd side first gets one row of zeros at both ends, and the zeros count in the average, as in pytorch-msssim,
    whose numbers the literature quotes.

    Raises:
        ValueError: a side is shorter than 161 px.
    """
    if min(restored.shape[-2:]) < MINIMUM:
        raise ValueError(f"MS-SSIM needs sides of at least {MINIMUM} px, got {tuple(restored.shape[-2:])}")
    window = gaussian()
    score = torch.ones(restored.shape[:2], dtype=torch.float64)  # (B, C)
    for scale, weight in enumerate(WEIGHTS):
        index, contrast = similarity(restored, clean, window)
        last = scale == len(WEIGHTS) - 1
        score *= (index if last else contrast).clamp(min=0) ** weight
        if not last:
            restored, clean = _halve(restored), _halve(clean)
    return score.mean(dim=1)


def _halve(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return avg_pool2d(images, kernel_size=2, padding=(height % 2, width % 2))


def load(options: None, runtime: Any, protocol: ScoringProtocol) -> Any:
    """Return the metric, the same for any protocol, as protocols only affect the preparation of the pixels."""
    return lambda restored, clean, map=None: ms_ssim(restored, clean)
