"""The transformer block of Restormer and PromptIR, and the block that fuses guidance, which contains one.

Zamir et al., "Restormer" (CVPR 2022). All map (N, C, H, W) to the same shape. Names of attributes are published
keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench.toolbox.pointwise import Pointwise
from restorebench_textualdegrem.normalisation import deviations

EXPANSION = 2.66
"""Channels of the feed-forward part, relative to those of the block."""

_EPSILON = 1e-5


def convolution(channels: int, out: int, side: int, groups: int = 1) -> nn.Conv2d:
    """Build a convolution without a bias that keeps the size."""
    if side == 1:
        return Pointwise(channels, out, bias=False)
    return nn.Conv2d(channels, out, side, padding=side // 2, groups=groups, bias=False)


class _Gain(nn.Module):
    """The gain of a normalisation, and the offset if it is centred."""

    def __init__(self, channels: int, centred: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if centred else None


class ChannelNorm(nn.Module):
    """Division by the standard deviation over channels, in float32.

    centred: subtract the mean first. Otherwise the mean stays in, although the deviation is measured from it.
    """

    def __init__(self, channels: int, centred: bool) -> None:
        super().__init__()
        self.body = _Gain(channels, centred)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise."""
        moved, spread = deviations(features, _EPSILON)
        gain = self.body.weight.float()[:, None, None]
        if self.body.bias is None:
            return (features.float() * spread * gain).to(features.dtype)
        offset = self.body.bias.float()[:, None, None]
        return torch.addcmul(offset, moved * spread, gain).to(features.dtype)


class ChannelAttention(nn.Module):
    """Attention between channels: its cost is linear in pixels."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = convolution(channels, 3 * channels, 1)
        self.qkv_dwconv = convolution(3 * channels, 3 * channels, 3, groups=3 * channels)
        self.project_out = convolution(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Attend."""
        batch, channels, height, width = features.shape
        query, key, value = (
            each.permute(0, 2, 3, 1).reshape(batch, height * width, self.heads, -1).permute(0, 2, 3, 1)
            for each in self.qkv_dwconv(self.qkv(features)).chunk(3, dim=1)
        )
        # the sum of squares over a whole image is too large for half precision
        query, key = F.normalize(query.float(), dim=-1), F.normalize(key.float(), dim=-1)
        shares = (query @ key.transpose(-1, -2) * self.temperature.float()).softmax(dim=-1)
        attended = (shares.to(value.dtype) @ value).reshape(batch, channels, height, width)
        out: Tensor = self.project_out(attended)
        return out


class GatedFeedForward(nn.Module):
    """Two branches of depthwise convolutions, one of which gates the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(channels * EXPANSION)
        self.project_in = convolution(channels, 2 * hidden, 1)
        self.dwconv = convolution(2 * hidden, 2 * hidden, 3, groups=2 * hidden)
        self.project_out = convolution(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map features."""
        gate, value = self.dwconv(self.project_in(features)).chunk(2, dim=1)
        out: Tensor = self.project_out(F.gelu(gate) * value)
        return out


class TransformerBlock(nn.Module):
    """Attention between channels, then the feed-forward part, each normalised and added to its input."""

    def __init__(self, channels: int, heads: int, centred: bool) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels, centred)
        self.attn = ChannelAttention(channels, heads)
        self.norm2 = ChannelNorm(channels, centred)
        self.ffn = GatedFeedForward(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map features."""
        features = features + self.attn(self.norm1(features))
        out: Tensor = features + self.ffn(self.norm2(features))
        return out


class FusionBlock(TransformerBlock):
    """The input plus alpha times the block's output, which includes its residuals; alpha starts at zero."""

    def __init__(self, channels: int, heads: int, centred: bool) -> None:
        super().__init__(channels, heads, centred)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """Map features."""
        return torch.addcmul(features, self.alpha, super().forward(features))


def transformers(count: int, channels: int, heads: int, centred: bool) -> nn.Sequential:
    """Build a sequence of blocks."""
    return nn.Sequential(*[TransformerBlock(channels, heads, centred) for _ in range(count)])


def fusions(count: int, channels: int, heads: int, centred: bool) -> nn.Sequential:
    """Build a sequence of fusion blocks for features of `channels` channels; the blocks have twice as many."""
    return nn.Sequential(*[FusionBlock(2 * channels, heads, centred) for _ in range(count)])


class Resize(nn.Module):
    """Half the size and twice the channels, or the other way round, by a convolution and a shuffle."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        out = 2 * channels if up else channels // 2
        shuffle: nn.Module = nn.PixelShuffle(2) if up else nn.PixelUnshuffle(2)
        self.body = nn.Sequential(convolution(channels, out, 3), shuffle)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C / 2, 2 H, 2 W) or (N, 2 C, H / 2, W / 2)."""
        out: Tensor = self.body(features)
        return out


class Projection(nn.Module):
    """The first convolution, under its published key."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.proj = convolution(channels, out, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to features."""
        out: Tensor = self.proj(images)
        return out
