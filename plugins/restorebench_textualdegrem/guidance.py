"""How every guided network uses its second image: it is padded, matched and fused."""

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
    """Pad the degraded image (N, C, H, W) to whole tiles, and transfer the guidance's features to its positions.

    guidance: (N, C, any, any); if it is the same tensor as `degraded`, its features are computed once. Returns the
    padded image and the transferred features at all scales, the finest first, in float32 if the pyramid is.
    """
    multiple = TILE * encoder.downscale
    image = padded(degraded, multiple)
    kind = next(encoder.parameters()).dtype
    own = encoder(image.to(kind))
    theirs = own if guidance is degraded else encoder(padded(guidance, multiple).to(kind))
    tiles = image.shape[-2] // multiple, image.shape[-1] // multiple
    return image, transfer(match(own[-1], theirs[-1]), theirs, tiles)


def fused(blocks: nn.Module, features: Tensor, transferred: Tensor) -> Tensor:
    """Apply blocks of 2 C channels to features (N, C, H, W) and transferred ones; return the first C channels."""
    both = blocks(torch.cat((features, transferred.to(features.dtype)), dim=1))
    half: Tensor = both[:, : features.shape[1]]
    return half
