"""BSRNet's network of residual-in-residual dense blocks; outputs are four times as large as inputs.

Wang et al., "ESRGAN" (ECCV workshops 2018); the names are those of BSRNet's file (Zhang et al., ICCV 2021).
spandrel has this network too, but only with 32 growth channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

_RESIDUAL = 0.2
_SLOPE = 0.2


def _convolution(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1)


class DenseBlock(nn.Module):
    """Five convolutions; each gets the input and the outputs of all convolutions before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, growth)
        self.conv2 = _convolution(width + growth, growth)
        self.conv3 = _convolution(width + 2 * growth, growth)
        self.conv4 = _convolution(width + 3 * growth, growth)
        self.conv5 = _convolution(width + 4 * growth, width)

    def forward(self, features: Tensor) -> Tensor:
        """Refine (B, width, H, W)."""
        seen = features
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, leaky_relu(layer(seen), _SLOPE)], dim=1)
        return features + _RESIDUAL * self.conv5(seen)


class Block(nn.Module):
    """Three dense blocks with a residual connection around them."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        """Refine (B, width, H, W)."""
        return features + _RESIDUAL * self.RDB3(self.RDB2(self.RDB1(features)))


class RRDBNet(nn.Module):
    """The whole network: (B, 3, H, W) in [0, 1] -> (B, 3, 4H, 4W), not clamped."""

    def __init__(self, width: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.conv_first = _convolution(3, width)
        self.RRDB_trunk = nn.Sequential(*(Block(width, growth) for _ in range(blocks)))
        self.trunk_conv = _convolution(width, width)
        self.upconv1 = _convolution(width, width)
        self.upconv2 = _convolution(width, width)
        self.HRconv = _convolution(width, width)
        self.conv_last = _convolution(width, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Enlarge and restore."""
        features = self.conv_first(image)
        features = features + self.trunk_conv(self.RRDB_trunk(features))
        for layer in (self.upconv1, self.upconv2):
            features = leaky_relu(layer(interpolate(features, scale_factor=2, mode="nearest")), _SLOPE)
        out: Tensor = self.conv_last(leaky_relu(self.HRconv(features), _SLOPE))
        return out
