"""NAFNet with a guidance image.

NAFNet: Chen et al., "Simple Baselines for Image Restoration" (ECCV 2022). Images and guidance are
(N, 3, any, any), outputs (N, 3, H, W) like the images, not clipped. Names of attributes are published keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restorebench.toolbox.pointwise import Pointwise
from restorebench_textualdegrem.guidance import fitted, fused
from restorebench_textualdegrem.normalisation import deviations
from restorebench_textualdegrem.pyramid import FeaturePyramid

_EPSILON = 1e-6


@dataclass(frozen=True)
class NAFNetSizes:
    """Sizes of a network, by default the published ones; the last number of `fusion` is not published.

    encoder, decoder: blocks at each of four levels. pyramid, fusion: blocks at each of five levels, the deepest
    last.
    """

    width: int = 64
    encoder: tuple[int, ...] = (1, 1, 1, 28)
    middle: int = 1
    decoder: tuple[int, ...] = (1, 1, 1, 1)
    pyramid: tuple[int, ...] = (4, 4, 4, 4, 4)
    fusion: tuple[int, ...] = (2, 2, 2, 2, 1)


class ChannelNorm(nn.Module):
    """Layer normalisation over channels, in float32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        moved, spread = deviations(features, _EPSILON)
        gain, offset = (each.float()[:, None, None] for each in (self.weight, self.bias))
        return torch.addcmul(offset, moved * spread, gain).to(features.dtype)


class NAFBlock(nn.Module):
    """Two gated branches, weighted by beta and gamma, which start at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.conv1 = Pointwise(channels, wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.conv3 = Pointwise(channels, channels)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), Pointwise(channels, channels))
        self.conv4 = Pointwise(channels, wide)
        self.conv5 = Pointwise(channels, channels)
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        hidden = _gate(self.conv2(self.conv1(self.norm1(features))))
        features = torch.addcmul(features, self.conv3(hidden * self.sca(hidden)), self.beta)
        hidden = _gate(self.conv4(self.norm2(features)))
        return torch.addcmul(features, self.conv5(hidden), self.gamma)


class GuidedNAFNet(nn.Module):
    """NAFNet that sees a guidance image at every level of its encoder and before its middle."""

    def __init__(self, sizes: NAFNetSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or NAFNetSizes()
        width = sizes.width
        self.masa_enc = FeaturePyramid(3, width, sizes.pyramid)
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        self.masa_blk_enc = nn.ModuleList()
        *fusion, last = sizes.fusion
        for count, fusing in zip(sizes.encoder, fusion, strict=True):
            self.masa_blk_enc.append(_blocks(fusing, 2 * width))
            self.encoders.append(_blocks(count, width))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, 2))
            width *= 2
        self.masa_blk_middle = nn.ModuleList([_blocks(last, 2 * width)])
        self.middle_blks = _blocks(sizes.middle, width)
        for count in sizes.decoder:
            self.ups.append(nn.Sequential(Pointwise(width, 2 * width, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(_blocks(count, width))

    def forward(self, degraded: Tensor, guidance: Tensor) -> Tensor:
        """Restore images of any size, float32 in and out."""
        height, width = degraded.shape[-2:]
        image, transferred = fitted(self.masa_enc, degraded, guidance)
        features = self.intro(image.to(self.intro.weight.dtype))
        skips: list[Tensor] = []
        encoding = zip(self.masa_blk_enc, self.encoders, self.downs, transferred[:-1], strict=True)
        for fusing, encoder, down, guide in encoding:
            features = encoder(fused(fusing, features, guide))
            skips.append(features)
            features = down(features)
        features = self.middle_blks(fused(self.masa_blk_middle[0], features, transferred[-1]))
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            features = decoder(up(features) + skips.pop())
        out: Tensor = self.ending(features.to(self.ending.weight.dtype)) + image
        return out[..., :height, :width]

    def lower(self, dtype: torch.dtype) -> None:
        """Compute in another precision.

        The last convolution, whose output is the image, stays in float32, and so does the pyramid: rounding must
        not decide which position is most similar.
        """
        self.to(dtype)
        self.masa_enc.float()
        self.ending.float()


def _gate(features: Tensor) -> Tensor:
    """Multiply the first half of the channels with the second."""
    first, second = features.chunk(2, dim=1)
    return first * second


def _blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*[NAFBlock(channels) for _ in range(count)])
