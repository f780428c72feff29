"""What every guided network does with its second image: fit it, match it, fuse it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench_textualdegrem.matching import TILE, match
from restorebench_textualdegrem.pyramid import FeaturePyramid
from restorebench_textualdegrem.transfer import transfer


def padded(images: Tensor, multiple: int) -> Tensor:
    """Add zeros to the right of and below (N, C, H, W) until both sides are multiples."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple))


def fitted(encoder: FeaturePyramid, degraded: Tensor, guidance: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Pad the degraded image (N, C, H, W) to whole tiles and bring the guidance's features to its places.

    guidance: (N, C, any, any); the same tensor as `degraded` is not looked at twice. Returns the padded image and
    features of all its scales, the finest first, in float32 where the pyramid is.
    """
    multiple = TILE * encoder.downscale
    image = padded(degraded, multiple)
    kind = next(encoder.parameters()).dtype
    own = encoder(image.to(kind))
    theirs = own if guidance is degraded else encoder(padded(guidance, multiple).to(kind))
    tiles = image.shape[-2] // multiple, image.shape[-1] // multiple
    return image, transfer(match(own[-1], theirs[-1]), theirs, tiles)


def fused(blocks: nn.Module, features: Tensor, brought: Tensor) -> Tensor:
    """Let blocks of twice the channels see (N, C, H, W) and what was brought there; keep the first half."""
    both = blocks(torch.cat((features, brought.to(features.dtype)), dim=1))
    half: Tensor = both[:, : features.shape[1]]
    return half
