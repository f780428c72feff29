"""Preparation of images for a metric under a named protocol: clip, round to 8 bits, crop, reduce to luma."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from restorebench.contract.cards import ScoringProtocol, Space

if TYPE_CHECKING:
    from torch import Tensor

_LUMA: dict[Space, tuple[float, tuple[float, float, float]]] = {
    # BT.601 as in Matlab's rgb2ycbcr and BasicSR: 16..235 of 255. Offset and weights are in grey levels.
    Space.Y_STUDIO: (16.0, (65.481, 128.553, 24.966)),
    Space.Y_FULL: (0.0, (0.299 * 255, 0.587 * 255, 0.114 * 255)),
}


PREPARING = ("space", "crop_border", "crop_multiple", "quantised", "clipped")
"""The fields of a protocol by which it prepares images."""


def prepare(images: Tensor, protocol: ScoringProtocol, *, network: bool = False) -> Tensor:
    """Prepare images for a metric as a protocol says.

    images: (B, 3, H, W) RGB of any float dtype and device, in or around [0, 1]. Returns (B, C, h, w), with C = 1
    for luma and the size that `prepared_size` returns: float64 on the CPU, or float32 on the device of the input
    for `network` metrics. The values are in [0, 1] unless the protocol does not clip. NaN stays NaN.

    Raises:
        ValueError: the crop leaves no pixels, or the protocol uses luma and the images have no three channels.
    """
    if images.dtype in (torch.float16, torch.bfloat16):
        images = images.float()
    levels = images.detach() if network else images.detach().cpu()
    levels = _crop(levels, protocol)
    dtype = torch.float32 if network else torch.float64
    if protocol.quantised:
        # Rounded in the precision of the input, as the published scripts do; in place after the first copy.
        prepared = levels.clamp(0, 1).mul_(255).round_().to(dtype).div_(255)
    elif protocol.clipped:
        prepared = levels.clamp(0, 1).to(dtype)
    else:
        prepared = levels.to(dtype)
    return prepared if protocol.space is Space.RGB else luma(prepared, protocol.space)


def luma(images: Tensor, space: Space) -> Tensor:
    """Reduce (B, 3, H, W) RGB in [0, 1] to unrounded BT.601 luma, (B, 1, H, W), same dtype and device.

    Y studio is (16 + 65.481 R + 128.553 G + 24.966 B) / 255; Y full is 0.299 R + 0.587 G + 0.114 B.
    """
    if images.shape[1] != 3:
        raise ValueError(f"luma needs 3 channels, got {images.shape[1]}")
    offset, weights = _LUMA[space]
    red, green, blue = images.unbind(1)
    grey: Tensor = (offset + weights[0] * red + weights[1] * green + weights[2] * blue) / 255
    return grey[:, None]


def crop_map(latent: Tensor, protocol: ScoringProtocol) -> Tensor:
    """Crop a latent map (B, 1, H, W) as `prepare` crops the images; values, dtype and device stay the same."""
    return _crop(latent, protocol)


def prepared_size(height: int, width: int, protocol: ScoringProtocol) -> tuple[int, int]:
    """Return the (height, width) that the protocol's crop leaves; a side of which it leaves nothing is 0."""
    rows, columns = _kept(height, protocol), _kept(width, protocol)
    return rows.stop - rows.start, columns.stop - columns.start


def _crop(images: Tensor, protocol: ScoringProtocol) -> Tensor:
    height, width = images.shape[-2:]
    if 0 in prepared_size(height, width, protocol):
        raise ValueError(f"protocol {protocol.name!r} leaves nothing of {height} x {width} px")
    return images[..., _kept(height, protocol), _kept(width, protocol)]


def _kept(side: int, protocol: ScoringProtocol) -> slice:
    """Return the kept pixels along one side. The centre crop is AirNet's `crop_img` (utils/image_utils.py)."""
    inner = max(side - 2 * protocol.crop_border, 0)
    surplus = inner % protocol.crop_multiple
    start = protocol.crop_border + surplus // 2
    return slice(start, start + inner - surplus)
