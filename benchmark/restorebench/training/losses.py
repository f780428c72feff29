"""What stages of several plugins minimise."""

from __future__ import annotations

import torch
from torch import Tensor


def spectrum_distance(images: Tensor, others: Tensor) -> Tensor:
    """Return the mean absolute difference, in both parts, of the orthonormal spectra of (N, C, H, W)."""
    apart = torch.fft.rfft2(images - others, norm="ortho")
    return torch.view_as_real(apart).abs().mean()
