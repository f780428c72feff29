"""The degradation encoder: features of the degradation at every pixel and of the whole image.

Attributes have the names of the published state dictionary.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

SLOPE = 0.1
"""The slope of every LeakyReLU below zero."""


class Encoding(NamedTuple):
    """pooled, embedding: (N, 4 * width), before and after the head. guide: (N, width, H, W), for the restorer."""

    pooled: Tensor
    embedding: Tensor
    guide: Tensor


def activation() -> nn.LeakyReLU:
    """Return the activation, which works in place; the output of the layer before it must not be needed."""
    return nn.LeakyReLU(SLOPE, inplace=True)


class ResidualBlock(nn.Module):
    """Two normalised convolutions and a shortcut of 1x1, which equal shapes have too."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            activation(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )
        self.activation = activation()

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        out: Tensor = self.activation(self.backbone(images) + self.shortcut(images))
        return out


class Encoder(nn.Module):
    """A full-size block whose output guides the restorer, two that halve the size, an image mean, and a head."""

    def __init__(self, width: int, channels_in: int = 3) -> None:
        super().__init__()
        size = 4 * width
        self.E_pre = ResidualBlock(channels_in, width, 1)
        self.E = nn.Sequential(
            ResidualBlock(width, 2 * width, 2), ResidualBlock(2 * width, size, 2), nn.AdaptiveAvgPool2d(1)
        )
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.LeakyReLU(SLOPE), nn.Linear(size, size))

    def forward(self, images: Tensor) -> Encoding:
        """Encode images (N, C, H, W) in [0, 1]."""
        guide = self.E_pre(images)
        pooled = self.E(guide).flatten(1)
        return Encoding(pooled, self.mlp(pooled), guide)
