"""Modulated deformable convolution, 3x3, computed by the operator that is faster on the device.

Zhu et al., "Deformable ConvNets v2" (CVPR 2019): each of the nine taps samples the image at an offset in px from
its regular position, interpolates between pixels, and is multiplied by a mask. Both operators take images
(N, C, H, W), `offset_mask` (N, 27, H, W) and weights (O, C, 3, 3), and return (N, O, H, W). Channels 2t and 2t + 1
of `offset_mask` are the offsets of tap t down and to the right (taps row by row). Channel 18 + t is its mask
before the sigmoid. Pixels outside the image are zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 9
Operator = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images, offset_mask, weights) -> images."""

_CHUNK = 4096  # px whose taps are gathered at once; for 64 channels 9 MiB, which still fits into a cache


def by_torchvision(images: Tensor, offset_mask: Tensor, weight: Tensor) -> Tensor:
    """Convolve with torchvision's operator, which is fast on a GPU but uses only one thread on a CPU."""
    from torchvision.ops import deform_conv2d  # here, because its import takes as long as torch's

    # in float32, because half precision has no fractions of a pixel 1000 px from the corner
    single_images, single_offset_mask, single_weight = (each.float() for each in (images, offset_mask, weight))
    offset, mask = single_offset_mask[:, : 2 * TAPS], single_offset_mask[:, 2 * TAPS :].sigmoid()
    return deform_conv2d(single_images, offset, single_weight, padding=1, mask=mask).to(images.dtype)


def by_gathering(images: Tensor, offset_mask: Tensor, weight: Tensor) -> Tensor:
    """Compute every tap as a weighted sum of four pixels, then multiply matrices; fast on a CPU.

    The channels of a pixel are adjacent in memory, so a tap is a bag of four rows of a table. This is fastest for
    channels-last images; the result is channels-last.
    """
    count, channels, height, width = images.shape
    # zeros around the image: positions outside of it are moved to this border and need no special case
    table = F.pad(images, (1, 2, 1, 2)).permute(0, 2, 3, 1).reshape(count, -1, channels)
    matrix = weight.permute(2, 3, 1, 0).reshape(TAPS * channels, -1)
    offset_mask_last = offset_mask.permute(0, 2, 3, 1)  # (N, H, W, 27)
    rows = max(_CHUNK // width, 1)
    parts = []
    for image, image_offset_mask in zip(table, offset_mask_last, strict=True):
        for top in range(0, height, rows):
            index, share = _corners(image_offset_mask[top : top + rows].float(), top, height, width)
            taps = F.embedding_bag(index, image, mode="sum", per_sample_weights=share.to(image.dtype))
            parts.append(taps.reshape(-1, TAPS * channels) @ matrix)
    return torch.cat(parts).reshape(count, height, width, -1).permute(0, 3, 1, 2)


def _corners(offset_mask: Tensor, top: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the four pixels around each tap and their shares, (h * W * 9, 4) each.

    offset_mask: (h, W, 27), from row `top` on. Indices count the pixels of the image with its border of zeros,
    which is `width + 3` px wide.
    """
    device = offset_mask.device
    tap = torch.arange(TAPS, device=device)
    row = torch.arange(top, top + len(offset_mask), device=device)[:, None, None] + tap // 3
    column = torch.arange(width, device=device)[:, None] + tap % 3
    offset, mask = offset_mask[..., : 2 * TAPS].unflatten(-1, (TAPS, 2)), offset_mask[..., 2 * TAPS :].sigmoid()
    down, right = (offset[..., 0] + row).clamp(0, height + 1), (offset[..., 1] + column).clamp(0, width + 1)
    # a NaN offset has no pixel; its share stays NaN, so that the result is NaN too
    first_row, first_column = (each.detach().nan_to_num().floor() for each in (down, right))
    down, right = down - first_row, right - first_column
    stride = width + 3
    index = first_row.int() * stride + first_column.int()
    around = torch.tensor([0, 1, stride, stride + 1], dtype=torch.int32, device=device)
    low = mask * down
    high = mask - low
    high_right, low_right = high * right, low * right
    share = torch.stack((high - high_right, high_right, low - low_right, low_right), dim=-1)
    return (index[..., None] + around).reshape(-1, 4), share.reshape(-1, 4)


def operator_for(device: torch.device) -> Operator:
    """Return the operator that is faster on a device."""
    return by_gathering if device.type == "cpu" else by_torchvision


class Deformable(nn.Module):
    """A deformable convolution whose offsets and masks are computed from the images and a guide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        bound = (width * TAPS) ** -0.5
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3).uniform_(-bound, bound))
        self.conv_offset_mask = nn.Conv2d(2 * width, 3 * TAPS, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)  # at first, offsets are 0 and masks 0.5
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]  # the layer has a bias
        self.operator: Operator | None = None
        """The operator to use; None chooses the faster one."""

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Convolve (N, C, H, W) under a guide of the same shape."""
        offset_mask = self.conv_offset_mask(torch.cat((images, guide), dim=1))
        operator = self.operator or operator_for(images.device)
        return operator(images, offset_mask, self.weight)


def use(network: nn.Module, operator: Operator) -> None:
    """Make all deformable convolutions of a network use one operator."""
    for module in network.modules():
        if isinstance(module, Deformable):
            module.operator = operator
