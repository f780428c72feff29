"""A replacement for CLIP without language: a visual tower, and a learned vector for each word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from restorebench import RestorebenchError

HEAD = 64
SEPARATOR = ", "
BLOCK = 8
"""The side in px of the blocks whose spectra are the input of a tower."""
_MLP_RATIO = 4.0
# for coefficients of normalised images: 0.01 is less than a grey level, -2 is about their mean logarithm
_LEAST, _MIDDLE = 0.01, -2.0


@dataclass(frozen=True)
class TowerConfig:
    """Sizes of a visual tower; width is a multiple of 64 (the width of a head), patch_size a multiple of 8."""

    image_size: int = 256
    patch_size: int = 16
    width: int = 128
    layers: int = 4
    embedding: int = 64


class Tower(nn.Module):
    """A visual tower as in open_clip, and a learned vector for each word: `rows` (words, embedding).

    Patches are embedded by their spectrum, not by their pixels: see `SpectralPatches`.
    """

    def __init__(self, config: TowerConfig, words: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.words = tuple(words)
        self.visual = VisionTransformer(
            image_size=config.image_size,
            patch_size=config.patch_size,
            width=config.width,
            layers=config.layers,
            heads=config.width // HEAD,
            mlp_ratio=_MLP_RATIO,
            output_dim=config.embedding,
        )
        self.visual.conv1 = SpectralPatches(config.patch_size, config.width)
        self.rows = nn.Parameter(torch.randn(len(self.words), config.embedding) / math.sqrt(config.embedding))
        self.typical: Tensor | None
        """A controller's typical degradation feature for each word, (words, embedding); None until measured."""
        self.register_buffer("typical", None)

    def encode_image(self, images: Tensor) -> Tensor:
        """Encode normalised (B, 3, S, S) images: (B, embedding), not normalised."""
        out: Tensor = self.visual(images)
        return out

    def encode_words(self, texts: Sequence[str]) -> Tensor:
        """Look up the vectors of texts: (N, embedding); words joined by commas give their mean.

        Raises:
            RestorebenchError: a word was never learned.
        """
        return self._look_up(self.rows, texts)

    def typical_of(self, texts: Sequence[str]) -> Tensor:
        """Look up typical degradation features: (N, embedding); words joined by commas give their mean.

        `rows` cannot replace them: a row gives only the direction of features. It does not give their length, nor
        the part that all features share.

        Raises:
            RestorebenchError: a word was never learned.
        """
        assert self.typical is not None  # see `Controller.tellable`
        return self._look_up(self.typical, texts)

    def _look_up(self, table: Tensor, texts: Sequence[str]) -> Tensor:
        parts = [text.split(SEPARATOR) for text in texts]
        if unknown := [word for part in parts for word in part if word not in self.words]:
            known = ", ".join(self.words)
            raise RestorebenchError(f"{unknown[0]!r}: these weights know no language, only the words {known}")
        return torch.stack([table[[self.words.index(word) for word in part]].mean(0) for part in parts])


class SpectralPatches(nn.Module):
    """Embed patches by the cosine transforms of their 8 px blocks: (B, 3, S, S) -> (B, width, S / p, S / p).

    Each coefficient enters twice: compressed with its sign, and as the logarithm of its size. Noise, blur, JPEG
    blocks and haze shift these logarithms. A network that gets pixels would have to learn this first.
    """

    basis: Tensor

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        positions = torch.arange(BLOCK)
        waves = torch.cos(math.pi / BLOCK * (positions[None, :] + 0.5) * positions[:, None]) * math.sqrt(2 / BLOCK)
        waves[0] /= math.sqrt(2)
        filters = torch.einsum("ux,vy->uvxy", waves, waves).reshape(BLOCK**2, 1, BLOCK, BLOCK)
        self.register_buffer("basis", filters.repeat(3, 1, 1, 1), persistent=False)
        side = patch_size // BLOCK
        self.mix = nn.Conv2d(6 * BLOCK**2, width, side, stride=side)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # float32, for logarithms of small numbers
            found = F.conv2d(images.float(), self.basis, stride=BLOCK, groups=3)
            size = found.abs()
            seen = torch.cat((found.sign() * (1 + size).log(), (size + _LEAST).log() - _MIDDLE), dim=1)
        out: Tensor = self.mix(seen)
        return out
