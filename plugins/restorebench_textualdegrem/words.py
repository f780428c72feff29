"""Networks from CLIP's tokens of an image to pseudo-words, and from those to pseudo-words of the clean image.

Both networks have the published layout of keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WORDS = 20
SEEN = 1280
"""Channels of the image encoder's tokens."""

_SLOPE = 0.01


class _WordNetwork(nn.Sequential):
    """Four linear layers with normalisation in between: (..., channels) -> (..., out)."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(_SLOPE)]
            channels = hidden
        super().__init__(*layers, nn.Linear(hidden, out))

    def mean(self, tokens: Tensor) -> Tensor:
        """Return the mean output over the tokens of (B, tokens, channels): (B, out).

        The last layer is linear, so the mean is taken before it, and the layer is computed only once.
        """
        *layers, last = self
        for layer in layers:
            tokens = layer(tokens)
        out: Tensor = last(tokens.mean(dim=1))
        return out


class Mapper(nn.Module):
    """The network from CLIP's tokens to words: one network for the class token plus one for the patches."""

    def __init__(self, words: int = WORDS, seen: int = SEEN, hidden: int = SEEN, out: int = 1024) -> None:
        super().__init__()
        self.words = words
        for word in range(words):
            self.add_module(f"mapping_{word}", _WordNetwork(seen, hidden, out))
            self.add_module(f"mapping_patch_{word}", _WordNetwork(seen, hidden, out))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, 1 + patches, seen), the class token first, to words (B, words, out)."""
        first, patches = tokens[:, 0], tokens[:, 1:]
        found = []
        for word in range(self.words):
            of_patches: _WordNetwork = self.get_submodule(f"mapping_patch_{word}")  # type: ignore[assignment]  # a Module
            found.append(self.get_submodule(f"mapping_{word}")(first) + of_patches.mean(patches))
        return torch.stack(found, dim=1)


class CleanMapper(nn.Module):
    """The network from words of a degraded image to words of the clean one, each word by itself."""

    def __init__(self, words: int = WORDS, channels: int = 1024, hidden: int = SEEN) -> None:
        super().__init__()
        self.words = words
        for word in range(words):
            self.add_module(f"mapping_{word}", _WordNetwork(channels, hidden, channels))

    def forward(self, words: Tensor) -> Tensor:
        """Map (B, words, channels) to the same shape."""
        found = [self.get_submodule(f"mapping_{word}")(words[:, word]) for word in range(self.words)]
        return torch.stack(found, dim=1)
