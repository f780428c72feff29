"""Features of an image at several scales; degraded and guidance images share the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two convolutions with a residual connection, without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: Tensor = features + self.conv2(F.relu(self.conv1(features)))
        return out


class FeaturePyramid(nn.Module):
    """Levels that halve the sides and double the channels; the names of attributes are published keys.

    channels: of images. width: channels of the first level. blocks: residual blocks of each level.
    """

    def __init__(self, channels: int, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.levels = len(blocks)
        for level, count in enumerate(blocks, start=1):
            out = width * 2 ** (level - 1)
            stride = 1 if level == 1 else 2
            self.add_module(f"conv_L{level}", nn.Conv2d(channels, out, 3, stride, padding=1))
            self.add_module(f"blk_L{level}", nn.Sequential(*[ResidualBlock(out) for _ in range(count)]))
            channels = out

    @property
    def downscale(self) -> int:
        """Pixels of the image per position of the deepest level, along each side."""
        return 2 ** (self.levels - 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (N, C, H, W), sides multiples of `downscale`, to a list of features, the finest first."""
        found: list[Tensor] = []
        features = images
        for level in range(1, self.levels + 1):
            features = F.relu(self.get_submodule(f"conv_L{level}")(features))
            features = self.get_submodule(f"blk_L{level}")(features)
            found.append(features)
        return found
