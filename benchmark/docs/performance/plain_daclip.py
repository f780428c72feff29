"""The network of the published script: the same weights, nothing computed ahead, every formula written out.

Contexts, time and prompt embeddings anew at every step, cross-attention over the one token, attention with its
whole matrix, normalisation in parts, channels first. `daclip.py` times against it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import MethodType

import torch
from restorebench_daclip import layers
from restorebench_daclip.unet import UNet, UNetConfig
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # for tests.parity
from tests.parity.daclip.fixtures import fill

_OUTPUT = 0.1  # share of a filled network's output that keeps states images, with the data head


def filled(config: UNetConfig) -> UNet:
    """Build a U-Net with weights by rule, in which every layer counts: a fresh one's transformers give zero."""
    unet = UNet(config).requires_grad_(False)
    fill(unet)
    unet.final_conv.weight.mul_(_OUTPUT)
    unet.final_conv.bias.mul_(_OUTPUT)  # type: ignore[union-attr]  # the layer has a bias
    return unet


def plain_norm(self: layers.ChannelLayerNorm, x: Tensor) -> Tensor:
    """Normalise over channels, written out."""
    variance = torch.var(x, dim=1, unbiased=False, keepdim=True)
    return (x - torch.mean(x, dim=1, keepdim=True)) * (variance + 1e-5).rsqrt() * self.g


def attended(attention: layers._Attention, tokens: Tensor, context: Tensor) -> Tensor:
    """Attend with the whole matrix of scores."""
    batch, count, channels = tokens.shape

    def heads(x: Tensor) -> Tensor:
        return x.reshape(batch, x.shape[1], -1, layers.HEAD_CHANNELS).transpose(1, 2)

    query, key, value = (
        heads(attention.to_q(tokens)),
        heads(attention.to_k(context)),
        heads(attention.to_v(context)),
    )
    scores = (query @ key.transpose(-1, -2) * layers.HEAD_CHANNELS**-0.5).softmax(dim=-1)
    out: Tensor = attention.to_out((scores @ value).transpose(1, 2).reshape(batch, count, channels))
    return out


def plain_block(self: layers._TransformerBlock, tokens: Tensor, context: Tensor) -> Tensor:
    """Run self-attention, cross-attention over the one token, and feed-forward."""
    normed = self.norm1(tokens)
    tokens = tokens + attended(self.attn1, normed, normed)
    tokens = tokens + attended(self.attn2, self.norm2(tokens), context[:, None])
    out: Tensor = tokens + self.ff(self.norm3(tokens))
    return out


def uncomputed(self: layers.SpatialTransformer, context: Tensor) -> Tensor:
    """Leave cross-attention to the blocks."""
    return context


def made_plain(unet: UNet) -> UNet:
    """Give a network the plain versions of its parts; its weights stay."""
    for module in unet.modules():
        if isinstance(module, layers.ChannelLayerNorm):
            module.forward = MethodType(plain_norm, module)  # type: ignore[method-assign]  # that is the point
        elif isinstance(module, layers._TransformerBlock):
            module.forward = MethodType(plain_block, module)  # type: ignore[method-assign]  # that is the point
        elif isinstance(module, layers.SpatialTransformer):
            module.constant = MethodType(uncomputed, module)  # type: ignore[method-assign]  # that is the point
    return unet
