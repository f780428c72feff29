"""The restoration network, alone with its guide for restoring, and whole for training.

Li et al., "All-In-One Image Restoration for Unknown Corruption" (CVPR 2022). The state dictionary has the
published layout, hence the names of attributes. Images are (N, 3, H, W) of any size; outputs are not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from restorebench_airnet.contrast import MomentumContrast
from restorebench_airnet.deformable import Deformable
from restorebench_airnet.encoder import Encoding, ResidualBlock, activation


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network; the published ones by default. queue: 256 times the batch it is trained with."""

    width: int = 64
    groups: int = 5
    blocks: int = 5
    queue: int = 1280


def _conv(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1)


class Affine(nn.Module):
    """A scale and a shift for every value, from the guide."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def pointwise() -> nn.Conv2d:
            return nn.Conv2d(width, width, 1, bias=False)

        self.conv_gamma = nn.Sequential(pointwise(), activation(), pointwise())
        self.conv_beta = nn.Sequential(pointwise(), activation(), pointwise())

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Scale and shift (N, C, H, W)."""
        return torch.addcmul(self.conv_beta(guide), images, self.conv_gamma(guide))


class Modulation(nn.Module):
    """Images, plus them deformed, plus them scaled and shifted, as the guide says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dcn = Deformable(width)
        self.sft = Affine(width)

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Modulate (N, C, H, W)."""
        out: Tensor = images + self.dcn(images, guide) + self.sft(images, guide)
        return out


class Block(nn.Module):
    """Two modulations, each before a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dgm1, self.dgm2 = Modulation(width), Modulation(width)
        self.conv1, self.conv2 = _conv(width, width), _conv(width, width)
        self.activation = activation()

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        between = self.activation(self.conv1(self.activation(self.dgm1(images, guide))))
        out: Tensor = self.conv2(self.activation(self.dgm2(between, guide))) + images
        return out


class Chain(nn.Module):
    """Parts that see the guide, one after the other, then a convolution, around which the input goes by."""

    def __init__(self, parts: list[nn.Module], width: int) -> None:
        super().__init__()
        self.body = nn.ModuleList([*parts, _conv(width, width)])

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        *parts, last = self.body
        through = images
        for part in parts:
            through = part(through, guide)
        out: Tensor = last(through) + images
        return out


class Restorer(Chain):
    """From images and their guide to images. Nothing of the input is added to what the last convolution gives."""

    def __init__(self, sizes: Sizes) -> None:
        width = sizes.width
        groups: list[nn.Module] = [
            Chain([Block(width) for _ in range(sizes.blocks)], width) for _ in range(sizes.groups)
        ]
        super().__init__(groups, width)
        self.head = nn.Sequential(_conv(3, width))
        self.tail = nn.Sequential(_conv(width, 3))

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Restore (N, 3, H, W)."""
        features = super().forward(self.head(images), guide)
        out: Tensor = self.tail(features.to(next(self.tail.parameters()).dtype))
        return out


class ImageNetwork(nn.Module):
    """All that restored images depend on: the restorer and the first block of the encoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.R = Restorer(sizes)
        self.E_pre = ResidualBlock(3, sizes.width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Restore (N, 3, H, W) float32; the result is float32."""
        given = images.to(next(self.E_pre.parameters()).dtype)
        out: Tensor = self.R(given, self.E_pre(given))
        return out

    def lower(self, dtype: torch.dtype) -> None:
        """Compute in another precision; the last convolution, whose output is the image, stays in float32."""
        self.to(dtype)
        self.R.tail.float()


class Trained(NamedTuple):
    """What a training step gives: restored (N, 3, H, W), and logits and labels of the contrast."""

    restored: Tensor
    logits: Tensor
    labels: Tensor


class DegradationEncoder(nn.Module):
    """The contrast under the name that published files give it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.E = MomentumContrast(sizes.width, sizes.queue)


class AirNet(nn.Module):
    """The whole network, as it is trained and published."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        sizes = sizes or Sizes()
        self.R = Restorer(sizes)
        self.E = DegradationEncoder(sizes)

    def forward(self, query: Tensor, key: Tensor) -> Trained:
        """Take a training step's look at two patches of each image, and restore the first."""
        logits, labels, guide = self.E.E(query, key)
        return Trained(self.R(query, guide), logits, labels)

    def encode(self, images: Tensor) -> Encoding:
        """Encode images with the encoder that learns."""
        out: Encoding = self.E.E.encoder_q(images)
        return out

    def restore(self, images: Tensor) -> Tensor:
        """Restore images, and compute all of their encoding as the published script does."""
        out: Tensor = self.R(images, self.encode(images).guide)
        return out
