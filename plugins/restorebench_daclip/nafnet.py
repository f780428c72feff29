"""The activation-free network of Refusion, conditioned on time alone.

After Luo et al., "Refusion" (CVPR workshops 2023) and Chen et al., "Simple Baselines for Image Restoration" (ECCV
2022). Unlike the latter it adds neither its input nor its first features to the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench_daclip.layers import ChannelLayerNorm, SinusoidalTime


@dataclass(frozen=True)
class NAFNetConfig:
    """Sizes of a network: channels of the first level, and blocks per level of encoder, middle and decoder."""

    width: int = 64
    encoder: tuple[int, ...] = (1, 1, 1, 28)
    middle: int = 1
    decoder: tuple[int, ...] = (1, 1, 1, 1)
    channels: int = 3


def _gate(x: Tensor, dim: int = 1) -> Tensor:
    """Multiply the first half of the channels with the second."""
    first, second = x.chunk(2, dim=dim)
    return first * second


class _Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _gate(x, dim=-1)


class NAFBlock(nn.Module):
    """Two gated branches, each normalised, scaled and shifted by the time, and weighted by beta and gamma."""

    def __init__(self, channels: int, time: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.mlp = nn.Sequential(_Gate(), nn.Linear(time // 2, 4 * channels))
        self.conv1 = nn.Conv2d(channels, wide, 1)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv4 = nn.Conv2d(channels, wide, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.norm1 = ChannelLayerNorm(channels)
        self.norm2 = ChannelLayerNorm(channels)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        shift1, scale1, shift2, scale2 = self.mlp(embedding)[:, :, None, None].chunk(4, dim=1)
        hidden = _gate(self.conv2(self.conv1(self.norm1(x) * (scale1 + 1) + shift1)))
        x = x + self.conv3(hidden * self.sca(hidden)) * self.beta
        hidden = _gate(self.conv4(self.norm2(x) * (scale2 + 1) + shift2))
        out: Tensor = x + self.conv5(hidden) * self.gamma
        return out


class NAFNet(nn.Module):
    """The NAFNet; its state dictionary has the published layout."""

    def __init__(self, config: NAFNetConfig = NAFNetConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        time = 4 * width
        self.time_mlp = nn.Sequential(
            SinusoidalTime(width), nn.Linear(width, 2 * time), _Gate(), nn.Linear(time, time)
        )
        self.intro = nn.Conv2d(2 * config.channels, width, 3, padding=1)
        self.ending = nn.Conv2d(width, config.channels, 3, padding=1)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for count in config.encoder:
            self.encoders.append(_blocks(count, width, time))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, 2))
            width *= 2
        self.middle_blks = _blocks(config.middle, width, time)
        for count in config.decoder:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(_blocks(count, width, time))

    def forward(self, state: Tensor, degraded: Tensor, time: Tensor) -> Tensor:
        """Predict from a state and a degraded image, both (B, 3, H, W), at times (B,) or (1,); any size."""
        height, width = state.shape[-2:]
        multiple = 2 ** len(self.downs)
        both = torch.cat((state - degraded, degraded), dim=1)
        x = self.intro(F.pad(both, (0, -width % multiple, 0, -height % multiple)))
        embedding = self.time_mlp(time.float())
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = _through(encoder, x, embedding)
            skips.append(x)
            x = down(x)
        x = _through(self.middle_blks, x, embedding)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            x = _through(decoder, up(x) + skips.pop(), embedding)
        out: Tensor = self.ending(x)[..., :height, :width]
        return out


def _blocks(count: int, channels: int, time: int) -> nn.ModuleList:
    return nn.ModuleList([NAFBlock(channels, time) for _ in range(count)])


def _through(blocks: nn.Module | Sequence[nn.Module], x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks:  # type: ignore[union-attr]  # a ModuleList
        x = block(x, embedding)
    return x
