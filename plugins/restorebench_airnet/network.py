"""The restoration network: the part that restoring needs, and the whole network for training.

Li et al., "All-In-One Image Restoration for Unknown Corruption" (CVPR 2022). Attributes have the names of the
published state dictionary. Images are (N, 3, H, W) of any size; outputs are not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from restorebench_airnet.contrast import Contrast, MomentumContrast
from restorebench_airnet.deformable import Deformable
from restorebench_airnet.encoder import Encoding, ResidualBlock, activation
from restorebench_airnet.folding import fold, unfold


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network; the published ones by default.

    queue: number of keys, 256 times the batch size of the training. deformable: which blocks of a group have
    deformable convolutions. shuffle: images are folded to sides this many times smaller, with shuffle^2 times the
    channels. residual: the network's output is added to its input. scene: the guide's mean over the image passes
    through two layers and is added to every pixel of the guide.
    """

    width: int = 64
    groups: int = 5
    blocks: int = 5
    queue: int = 1280
    deformable: Literal["all", "last"] = "all"
    shuffle: int = 1
    residual: bool = False
    scene: bool = False

    @property
    def channels(self) -> int:
        """The number of channels of folded images."""
        return 3 * self.shuffle**2

    def notes(self) -> dict[str, bool]:
        """Return the settings that cannot be read from the tensors."""
        return {"residual": True} if self.residual else {}


def _conv(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1)


def _zero(layer: nn.Module) -> None:
    """Set the parameters of a layer to zero, so that its output is zero at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _scene(width: int) -> nn.Sequential:
    last = nn.Linear(width, width)
    _zero(last)
    return nn.Sequential(nn.Linear(width, width), activation(), last)


class Affine(nn.Module):
    """A scale and a shift of every value, computed from the guide."""

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
    """Adds to images their deformable convolution (optional) and their scaled and shifted version, both guided."""

    def __init__(self, width: int, deformable: bool) -> None:
        super().__init__()
        self.dcn = Deformable(width) if deformable else None
        self.sft = Affine(width)

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Modulate (N, C, H, W)."""
        moved = images if self.dcn is None else images + self.dcn(images, guide)
        out: Tensor = moved + self.sft(images, guide)
        return out


class Block(nn.Module):
    """Two modulations, each before a convolution."""

    def __init__(self, width: int, deformable: bool) -> None:
        super().__init__()
        self.dgm1, self.dgm2 = Modulation(width, deformable), Modulation(width, deformable)
        self.conv1, self.conv2 = _conv(width, width), _conv(width, width)
        self.activation = activation()

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        between = self.activation(self.conv1(self.activation(self.dgm1(images, guide))))
        out: Tensor = self.conv2(self.activation(self.dgm2(between, guide))) + images
        return out


class Chain(nn.Module):
    """Guided parts one after the other, then a convolution, with a skip connection around all of them."""

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
    """The network from images and their guide to images; `residual` adds the input to the output."""

    def __init__(self, sizes: Sizes) -> None:
        width, last = sizes.width, sizes.blocks - 1
        groups: list[nn.Module] = [
            Chain(
                [Block(width, sizes.deformable == "all" or index == last) for index in range(sizes.blocks)], width
            )
            for _ in range(sizes.groups)
        ]
        super().__init__(groups, width)
        self.head = nn.Sequential(_conv(sizes.channels, width))
        self.tail = nn.Sequential(_conv(width, sizes.channels))
        self.residual = sizes.residual
        if sizes.residual:  # the output starts as the input, which is better than random values
            _zero(self.tail[0])
        self.scene = _scene(width) if sizes.scene else None

    def forward(self, images: Tensor, guide: Tensor) -> Tensor:
        """Restore (N, C, H, W)."""
        if self.scene is not None:
            guide = guide + self.scene(guide.mean(dim=(2, 3)))[:, :, None, None]
        last = next(self.tail.parameters()).dtype
        features = super().forward(self.head(images), guide)
        out: Tensor = self.tail(features.to(last))
        return images.to(last) + out if self.residual else out


class ImageNetwork(nn.Module):
    """The part that restored images depend on: the restorer and the first block of the encoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.R = Restorer(sizes)
        self.E_pre = ResidualBlock(sizes.channels, sizes.width, 1)
        self.shuffle = sizes.shuffle

    def forward(self, images: Tensor) -> Tensor:
        """Restore (N, 3, H, W) float32; the result is float32."""
        given = fold(images, self.shuffle).to(next(self.E_pre.parameters()).dtype)
        return unfold(self.R(given, self.E_pre(given)), self.shuffle, *images.shape[-2:])

    def lower(self, dtype: torch.dtype) -> None:
        """Compute in another precision; the last convolution, whose output is the image, stays in float32."""
        self.to(dtype)
        self.R.tail.float()


class Trained(NamedTuple):
    """The result of a training step: restored (N, 3, H, W), and logits and labels of the contrast."""

    restored: Tensor
    logits: Tensor
    labels: Tensor


class DegradationEncoder(nn.Module):
    """The contrast under the name that published files give it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.E = MomentumContrast(sizes.width, sizes.queue, sizes.channels)


class AirNet(nn.Module):
    """The whole network, as it is trained and published."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        sizes = sizes or Sizes()
        self.R = Restorer(sizes)
        self.E = DegradationEncoder(sizes)
        self.sizes = sizes

    def forward(self, query: Tensor, key: Tensor) -> Trained:
        """Compare two patches of each image, and restore the first one, for a training step."""
        given = fold(query, self.sizes.shuffle)
        logits, labels, guide = self.E.E(given, fold(key, self.sizes.shuffle))
        return Trained(self._restored(query, given, guide), logits, labels)

    def compare(self, query: Tensor, key: Tensor) -> Contrast:
        """Compare two patches of each image without restoring one."""
        out: Contrast = self.E.E(*(fold(each, self.sizes.shuffle) for each in (query, key)))
        return out

    def encode(self, images: Tensor) -> Encoding:
        """Encode images with the trained encoder."""
        out: Encoding = self.E.E.encoder_q(fold(images, self.sizes.shuffle))
        return out

    def restore(self, images: Tensor) -> Tensor:
        """Restore images; the whole encoding is computed too, as in the published script."""
        return self._restored(images, fold(images, self.sizes.shuffle), self.encode(images).guide)

    def _restored(self, images: Tensor, given: Tensor, guide: Tensor) -> Tensor:
        return unfold(self.R(given, guide), self.sizes.shuffle, *images.shape[-2:])
