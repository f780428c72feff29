"""Colour transfer from the stage-1 image: its low frequencies, or its mean and standard deviation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 5
_EPSILON = 1e-5


def low_frequencies(image: Tensor) -> Tensor:
    """Blur (B, C, H, W) five times with [1, 2, 1] in both directions; the taps' distance doubles each time."""
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=image.dtype, device=image.device)
    kernel = (torch.outer(taps, taps) / 16).expand(image.shape[1], 1, 3, 3)
    for level in range(_LEVELS):
        reach = 2**level
        padded = functional.pad(image, (reach,) * 4, mode="replicate")
        image = functional.conv2d(padded, kernel, groups=image.shape[1], dilation=reach)
    return image


def wavelet(content: Tensor, style: Tensor) -> Tensor:
    """Combine the details of `content` with the low frequencies of `style`, both (B, 3, H, W)."""
    return content - low_frequencies(content) + low_frequencies(style)


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Give each channel of `content` the mean and standard deviation of `style` (Huang and Belongie, 2017)."""
    (mean, spread), (style_mean, style_spread) = (_moments(each) for each in (content, style))
    return (content - mean) / spread * style_spread + style_mean


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(image, dim=(2, 3), keepdim=True)
    return mean, (variance + _EPSILON).sqrt()
