"""Time `daclip-irsde` against a plain loop: `python benchmark/docs/performance/daclip.py [--steps N] [--side PX]`.

The plain loop does per step what the published script does: contexts, time and prompt embeddings anew,
cross-attention over the one token, attention with its whole matrix, normalisation written out, channels first.
Both run the full-size universal U-Net with random weights on one image, from the same noise, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import MethodType

import torch
from restorebench_daclip import layers, samplers, sde
from restorebench_daclip.engine import Sampler, bind_unet
from restorebench_daclip.options import Sampling
from restorebench_daclip.samplers import Predictor
from restorebench_daclip.unet import UNIVERSAL, UNet
from torch import Tensor

from restorebench import Batch
from restorebench.toolbox.seeding import normal

CONTEXT = 512


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


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return the seconds of a call and its result."""
    began = time.perf_counter()
    with torch.no_grad():
        result = work()
    return time.perf_counter() - began, result


def main() -> None:
    """Print seconds per image and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=5, help="posterior steps; a step costs the same in any number"
    )
    parser.add_argument("--side", type=int, default=256, help="px")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    fast = UNet(UNIVERSAL).eval().requires_grad_(False)
    plain = UNet(UNIVERSAL).eval().requires_grad_(False)
    plain.load_state_dict(fast.state_dict())
    made_plain(plain)
    fast.to(memory_format=torch.channels_last)
    degraded = torch.rand(1, 3, given.side, given.side)
    contexts = torch.randn(1, CONTEXT), torch.randn(1, CONTEXT)
    batch = Batch(degraded, (None,), (1,), (given.side, given.side))
    # the data head keeps states of untrained networks small, so that results can be compared
    options = Sampling(steps=given.steps, prediction="data")
    sampler, table = Sampler(options, "cpu"), sde.schedule(steps=given.steps, trained_steps=100)

    def ours() -> Tensor:
        return sampler(bind_unet(fast, degraded, sampler.times, fast.condition(*contexts)), batch)

    def published() -> Tensor:
        def network(state: Tensor, step: float) -> Tensor:
            out: Tensor = plain(state, degraded, torch.tensor([step]), plain.condition(*contexts))
            return out

        def noise(step: int) -> Tensor:
            return normal(batch.keys, 0, step, (3, *batch.full_size))

        return samplers.last(samplers.posterior(Predictor(network, degraded, table, "data"), noise))

    timed(ours), timed(published)
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(given.runs):
        taken, expected = timed(published)
        seconds["plain"].append(taken)
        taken, result = timed(ours)
        seconds["ours"].append(taken)
    before, after = (statistics.median(seconds[name]) for name in ("plain", "ours"))
    print(
        f"{given.side} px, {given.steps} posterior steps, {given.threads} threads, fp32, torch {torch.__version__}"
    )
    print(f"plain {before:.2f} s, ours {after:.2f} s, ratio {before / after:.2f}")
    print(f"greatest difference of a pixel {float((result - expected).abs().max()):.1e}")


if __name__ == "__main__":
    main()
