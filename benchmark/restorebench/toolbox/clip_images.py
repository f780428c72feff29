"""Images in the form that CLIP expects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image as Pillow

from restorebench.toolbox import images as toolbox
from restorebench.toolbox.synthesis import centre_crop

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's statistics, per channel."""

THIN = 64
"""From this ratio of sides on, only the pixels that the crop keeps are computed.

Resized whole, an image of 1 x 8000 px would have 224 x 1.8 million px.
"""

Crop = Literal["center", "whole", "native"]


def for_clip(
    images: Tensor,
    size: int,
    crop: Crop = "center",
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Tensor:
    """Turn (B, 3, H, W) RGB in [0, 1] into normalised (B, 3, size, size) on the same device.

    Images are rounded to 8 bits and resized by Pillow's bicubic filter, as published. crop: `center` resizes the
    shorter side to `size` and cuts off both ends of the longer side; `whole` squeezes the image into the square;
    `native` cuts the centre out without resizing, so that noise and JPEG blocks stay unchanged, and pads smaller
    images by mirroring.
    """
    import torch

    centre, spread = (torch.tensor(values, device=images.device)[:, None, None] for values in (mean, std))
    resized = [_resized(image, size, crop) for image in _pillow(images)]
    return (torch.stack(resized).to(images.device) - centre) / spread


def _pillow(images: Tensor) -> Iterable[Pillow.Image]:
    for image in images.detach().cpu():
        yield Pillow.fromarray(toolbox.to_8bit(image.permute(1, 2, 0).numpy()))


def _resized(image: Pillow.Image, size: int, crop: Crop) -> Tensor:
    import numpy as np

    width, height = image.size
    if crop == "native":
        pixels = centre_crop(np.asarray(image), size)
        pad = [(rest // 2, rest - rest // 2) for rest in (size - side for side in pixels.shape[:2])]
        return _scaled(np.pad(pixels, [*pad, (0, 0)], mode="symmetric"))
    if crop == "center":
        short = min(width, height)
        width, height = (size * side // short for side in (width, height))
        left, top = (round((side - size) / 2) for side in (width, height))
        if max(image.size) >= THIN * short:
            across, down = image.width / width, image.height / height
            box = (left * across, top * down, (left + size) * across, (top + size) * down)
            image = image.resize((size, size), Pillow.Resampling.BICUBIC, box=box)
        else:  # as published: Pillow's `box` is in single precision and may swap the two passes, which both round
            image = image.resize((width, height), Pillow.Resampling.BICUBIC)
            image = image.crop((left, top, left + size, top + size))
    else:
        image = image.resize((size, size), Pillow.Resampling.BICUBIC)
    return _scaled(np.asarray(image))


def _scaled(pixels: np.ndarray[Any, Any]) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)
