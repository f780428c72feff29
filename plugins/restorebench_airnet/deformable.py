"""Modulated deformable convolution, 3x3, computed by whichever operator is faster where it runs.

Zhu et al., "Deformable ConvNets v2" (CVPR 2019): each of the nine taps looks `offset` px beside its place, between
pixels, and is weighed by a mask. Both operators take images (N, C, H, W), what a convolution says of places,
(N, 27, H, W), and weights (O, C, 3, 3); they give (N, O, H, W). Channels 2t and 2t + 1 of the places are how far
down and right tap t looks (taps row by row), channel 18 + t is its mask before the sigmoid. Beyond images is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TAPS = 9
Operator = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images, places, weights) -> images."""

_CHUNK = 4096  # px whose taps are gathered at once: 9 MiB for 64 channels, which a cache still holds


def by_torchvision(images: Tensor, places: Tensor, weight: Tensor) -> Tensor:
    """Convolve with torchvision's operator, which is fast on a GPU and has one thread on a CPU."""
    # half precision has no fractions of a pixel left 1000 px from the corner
    seen, said, factors = (each.float() for each in (images, places, weight))
    offset, mask = said[:, : 2 * TAPS], said[:, 2 * TAPS :].sigmoid()
    return deform_conv2d(seen, offset, factors, padding=1, mask=mask).to(images.dtype)


def by_gathering(images: Tensor, places: Tensor, weight: Tensor) -> Tensor:
    """Gather what the taps see as weighted sums of whole pixels, then multiply matrices; fast on a CPU.

    A pixel's channels lie together, so a tap is a bag of four rows of a table. Images are best channels-last;
    the result is.
    """
    count, channels, height, width = images.shape
    # zeros around: a place beyond the image needs no case of its own once it is moved to the border
    table = F.pad(images, (1, 2, 1, 2)).permute(0, 2, 3, 1).reshape(count, -1, channels)
    matrix = weight.permute(2, 3, 1, 0).reshape(TAPS * channels, -1)
    said = places.permute(0, 2, 3, 1)  # (N, H, W, 27)
    rows = max(_CHUNK // width, 1)
    parts = []
    for image, at in zip(table, said, strict=True):
        for top in range(0, height, rows):
            index, share = _corners(at[top : top + rows].float(), top, height, width)
            seen = F.embedding_bag(index, image, mode="sum", per_sample_weights=share.to(image.dtype))
            parts.append(seen.reshape(-1, TAPS * channels) @ matrix)
    return torch.cat(parts).reshape(count, height, width, -1).permute(0, 3, 1, 2)


def _corners(said: Tensor, top: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the four pixels around each tap and their shares, (h * W * 9, 4), of said (h, W, 27) from row `top`.

    Pixels are numbered in the image with its border of zeros, which is `width + 3` px wide.
    """
    tap = torch.arange(TAPS, device=said.device)
    row = torch.arange(top, top + len(said), device=said.device)[:, None, None] + tap // 3
    column = torch.arange(width, device=said.device)[:, None] + tap % 3
    offset, mask = said[..., : 2 * TAPS].unflatten(-1, (TAPS, 2)), said[..., 2 * TAPS :].sigmoid()
    down, right = (offset[..., 0] + row).clamp(0, height + 1), (offset[..., 1] + column).clamp(0, width + 1)
    # NaN has no pixel; its share stays NaN, so that the result tells
    first_row, first_column = (each.detach().nan_to_num().floor() for each in (down, right))
    down, right = down - first_row, right - first_column
    stride = width + 3
    index = first_row.int() * stride + first_column.int()
    around = torch.tensor([0, 1, stride, stride + 1], dtype=torch.int32, device=said.device)
    low = mask * down
    high = mask - low
    high_right, low_right = high * right, low * right
    share = torch.stack((high - high_right, high_right, low - low_right, low_right), dim=-1)
    return (index[..., None] + around).reshape(-1, 4), share.reshape(-1, 4)


def operator_for(device: torch.device) -> Operator:
    """Return the operator that is faster on a device."""
    return by_gathering if device.type == "cpu" else by_torchvision


class Deformable(nn.Module):
    """A deformable convolution whose places come from the images and a guide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        bound = (width * TAPS) ** -0.5
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3).uniform_(-bound, bound))
        self.conv_offset_mask = nn.Conv2d(2 * width, 3 * TAPS, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)  # at first it looks straight, with masks of 0.5
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]  # the layer has a bias
        self.operator: Operator | None = None
        """Which operator to use; the faster one where none is said."""

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Convolve (N, C, H, W) under a guide of the same shape."""
        places = self.conv_offset_mask(torch.cat((images, guide), dim=1))
        operator = self.operator or operator_for(images.device)
        return operator(images, places, self.weight)


def use(network: nn.Module, operator: Operator) -> None:
    """Let all deformable convolutions of a network use one operator."""
    for module in network.modules():
        if isinstance(module, Deformable):
            module.operator = operator
