"""Building blocks of the conditional U-Net. Attribute names match the keys of the published checkpoints."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_CHANNELS = 32
_EPSILON = 1e-5


class SinusoidalTime(nn.Module):
    """Sines and cosines of a time at frequencies from 1 to 1/10000: (B,) -> (B, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, time: Tensor) -> Tensor:
        half = self.size // 2
        falling = torch.arange(half, device=time.device) * -(math.log(10000) / (half - 1))
        angles = time[:, None] * torch.exp(falling)[None, :]
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class ChannelLayerNorm(nn.Module):
    """Normalise over channels, with a gain and no offset; always in float32.

    The published code uses epsilon 1e-3 in every dtype but float32. That makes it another network: the output of
    linear attention is so small that epsilon decides its scale.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        last = x.float().permute(0, 2, 3, 1)
        normed = F.layer_norm(last, (x.shape[1],), self.g.float().flatten(), None, _EPSILON)
        return normed.permute(0, 3, 1, 2).to(x.dtype)


class Residual(nn.Module):
    """Add a branch that starts with a norm: x + fn(norm(x))."""

    def __init__(self, channels: int, branch: nn.Module) -> None:
        super().__init__()
        self.fn = _Normed(channels, branch)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        return x + self.fn(x, *given)


class _Normed(nn.Module):
    def __init__(self, channels: int, branch: nn.Module) -> None:
        super().__init__()
        self.fn = branch
        self.norm = ChannelLayerNorm(channels)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        branch: Tensor = self.fn(self.norm(x), *given)
        return branch


class _Projection(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, out, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class ResBlock(nn.Module):
    """Two convolutions and a skip connection, no normalisation; the time scales and shifts the first output."""

    def __init__(self, channels: int, out: int, time: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * out))
        self.block1 = _Projection(channels, out)
        self.block2 = _Projection(out, out)
        self.res_conv = nn.Conv2d(channels, out, 1, bias=False) if channels != out else nn.Identity()

    def modulation(self, embedding: Tensor) -> Tensor:
        """Turn an embedding (..., T) into scale and shift, (..., 2 * out)."""
        return self.mlp(embedding)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        hidden = self.block1(x)
        # without this cast, a modulation in float32 would make all later layers compute in float32
        scale, shift = modulation.to(hidden.dtype)[:, :, None, None].chunk(2, dim=1)
        hidden = F.silu(torch.addcmul(shift, hidden, scale + 1))
        skip: Tensor = self.res_conv(x)
        return F.silu(self.block2(hidden)) + skip


class LinearAttention(nn.Module):
    """Attention whose cost is linear in pixels: keys are softmaxed over positions, queries over channels."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * HEAD_CHANNELS
        self.to_qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, channels, 1), ChannelLayerNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        query, key, value = self.to_qkv(x).reshape(batch, 3, self.heads, HEAD_CHANNELS, -1).unbind(1)
        # in float32, because fp16 has no numbers as small as the attention weight of a pixel
        with torch.autocast(x.device.type, enabled=False):
            query = query.float().softmax(dim=-2) * HEAD_CHANNELS**-0.5
            key = key.float().softmax(dim=-1)
            context = key @ (value.float() / (height * width)).transpose(-1, -2)  # (B, heads, d, e)
            attended = context.transpose(-1, -2) @ query
        out: Tensor = self.to_out(attended.reshape(batch, -1, height, width))
        return out


class _Attention(nn.Module):
    """An attention layer: `forward` is self-attention, `to_one_token` is cross-attention to a single token."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels), nn.Dropout(0.0))

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, channels = tokens.shape
        query, key, value = (
            layer(tokens).reshape(batch, count, -1, HEAD_CHANNELS).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.to_out(attended.transpose(1, 2).reshape(batch, count, channels))
        return out

    def to_one_token(self, context: Tensor) -> Tensor:
        """Attend to a single token (B, context): the softmax over one key is 1, so all queries get one value."""
        out: Tensor = self.to_out(self.to_v(context))
        return out


class _GatedLinear(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class _FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = 4 * channels
        self.net = nn.Sequential(_GatedLinear(channels, inner), nn.Dropout(0.0), nn.Linear(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _TransformerBlock(nn.Module):
    """Self-attention, the context's constant, feed-forward; `norm2`, `attn2.to_q` and `attn2.to_k` are unused."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.attn1 = _Attention(channels, channels)
        self.ff = _FeedForward(channels)
        self.attn2 = _Attention(channels, context)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, constant: Tensor) -> Tensor:
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + constant[:, None].to(tokens.dtype)
        out: Tensor = tokens + self.ff(self.norm3(tokens))
        return out


class SpatialTransformer(nn.Module):
    """A transformer block over pixels; the image context is the only key of its cross-attention."""

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([_TransformerBlock(channels, context)])
        self.proj_out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)  # type: ignore[arg-type]  # the layer has a bias

    def constant(self, context: Tensor) -> Tensor:
        """Return what cross-attention to the context (B, context) adds to every pixel: (B, channels)."""
        block = self.transformer_blocks[0]
        return block.attn2.to_one_token(context)  # type: ignore[operator, union-attr]  # ModuleList

    def forward(self, x: Tensor, constant: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        tokens = self.transformer_blocks[0](tokens, constant)
        out: Tensor = x + self.proj_out(tokens.transpose(1, 2).reshape(batch, channels, height, width))
        return out
