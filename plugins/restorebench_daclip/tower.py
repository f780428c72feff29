"""What stands in for a CLIP where there is no language: its visual tower, and a learned row for each word."""

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
"""The side in px of the blocks whose spectra a tower sees."""
_MLP_RATIO = 4.0
_LEAST, _MIDDLE = 0.01, -2.0  # of normalised images: below a grey level; about the mean logarithm


@dataclass(frozen=True)
class TowerConfig:
    """Sizes of a visual tower; width is a multiple of 64, which is a head's, and patch_size one of 8."""

    image_size: int = 256
    patch_size: int = 16
    width: int = 128
    layers: int = 4
    embedding: int = 64


class Tower(nn.Module):
    """A visual tower as in open_clip, and the words that it knows as rows (words, embedding).

    Patches are embedded through their spectrum rather than their pixels: see `SpectralPatches`.
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
        """What a controller's degradation feature typically is, (words, embedding); None until measured."""
        self.register_buffer("typical", None)

    def encode_image(self, images: Tensor) -> Tensor:
        """Encode normalised (B, 3, S, S) images: (B, embedding), not normalised."""
        out: Tensor = self.visual(images)
        return out

    def encode_words(self, texts: Sequence[str]) -> Tensor:
        """Look texts up: (N, embedding); words joined by commas are their mean.

        Raises:
            RestorebenchError: a word that was never learned.
        """
        return self._looked_up(self.rows, texts)

    def typical_of(self, texts: Sequence[str]) -> Tensor:
        """Look up what degradation features typically are: (N, embedding); words joined by commas are their mean.

        Rows say only where features point; how long these are, and what all have in common, they do not.

        Raises:
            RestorebenchError: a word that was never learned.
        """
        assert self.typical is not None  # as `Controller.tellable` says
        return self._looked_up(self.typical, texts)

    def _looked_up(self, table: Tensor, texts: Sequence[str]) -> Tensor:
        parts = [text.split(SEPARATOR) for text in texts]
        if strange := [word for part in parts for word in part if word not in self.words]:
            known = ", ".join(self.words)
            raise RestorebenchError(f"{strange[0]!r}: these weights know no language, only the words {known}")
        return torch.stack([table[[self.words.index(word) for word in part]].mean(0) for part in parts])


class SpectralPatches(nn.Module):
    """Embed patches through the cosine transforms of their 8 px blocks: (B, 3, S, S) -> (B, width, S / p, S / p).

    A coefficient enters with its sign, compressed, and as the logarithm of its size: what noise, blur, blocks and
    haze do to an image is a shift of the latter, which a network fed with pixels has to discover first.
    """

    basis: Tensor

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        places = torch.arange(BLOCK)
        waves = torch.cos(math.pi / BLOCK * (places[None, :] + 0.5) * places[:, None]) * math.sqrt(2 / BLOCK)
        waves[0] /= math.sqrt(2)
        filters = torch.einsum("ux,vy->uvxy", waves, waves).reshape(BLOCK**2, 1, BLOCK, BLOCK)
        self.register_buffer("basis", filters.repeat(3, 1, 1, 1), persistent=False)
        side = patch_size // BLOCK
        self.mix = nn.Conv2d(6 * BLOCK**2, width, side, stride=side)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # logarithms of small numbers
            found = F.conv2d(images.float(), self.basis, stride=BLOCK, groups=3)
            size = found.abs()
            seen = torch.cat((found.sign() * (1 + size).log(), (size + _LEAST).log() - _MIDDLE), dim=1)
        out: Tensor = self.mix(seen)
        return out
