"""Images as smaller ones with more channels: a larger receptive field at the same cost."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def fold(images: Tensor, times: int) -> Tensor:
    """Turn (N, C, H, W) into (N, C * times^2, H / times, W / times); sides are padded by repeating the border."""
    if times == 1:
        return images
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % times, 0, -height % times), mode="replicate")
    return F.pixel_unshuffle(padded, times)


def unfold(folded: Tensor, times: int, height: int, width: int) -> Tensor:
    """Undo `fold`: (N, C, height, width), without the padding."""
    return folded if times == 1 else F.pixel_shuffle(folded, times)[..., :height, :width]
