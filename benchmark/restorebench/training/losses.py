"""Losses of stages of several plugins."""

from __future__ import annotations

import torch
from torch import Tensor


def spectrum_distance(images: Tensor, others: Tensor) -> Tensor:
    """Return the mean absolute difference of orthonormal spectra of (N, C, H, W), in real and imaginary parts."""
    difference = torch.fft.rfft2(images - others, norm="ortho")
    return torch.view_as_real(difference).abs().mean()
