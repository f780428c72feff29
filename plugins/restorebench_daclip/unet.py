"""The conditional U-Net of DA-CLIP, its wild variant at half resolution, and IR-SDE's without contexts.

(state - mu, mu), a time and two contexts in; a prediction of the state's shape out. What does not change from step
to step (the contexts' share) is computed once by `condition`, what depends on the step alone by `modulations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench_daclip.layers import LinearAttention, ResBlock, Residual, SinusoidalTime, SpatialTransformer


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a network.

    features: channels of the first layer. multipliers: of `features`, per level. context: size of the contexts;
    None for a network without any, which has linear attention everywhere. degradation_context: whether the
    degradation feature enters too. scale: 0.5 for the wild variant, which works at half resolution.
    attention_from: the first level with attention; those above it, where pixels are many, have none.
    """

    features: int = 64
    multipliers: tuple[int, ...] = (1, 2, 4, 8)
    context: int | None = 512
    degradation_context: bool = True
    scale: float = 1.0
    channels: int = 3
    attention_from: int = 0


UNIVERSAL = UNetConfig()
WILD = UNetConfig(context=768, degradation_context=False, scale=0.5)
IR_SDE = UNetConfig(multipliers=(2, 4, 8, 16), context=None, degradation_context=False)


@dataclass(frozen=True)
class Conditioning:
    """The contexts' share of a network: added to the time embedding, and to every pixel of each transformer."""

    prompt: Tensor | None
    constants: tuple[Tensor, ...]


NO_CONTEXT = Conditioning(None, ())


_Level = tuple[ResBlock, ResBlock, nn.Module, nn.Module]
"""What a level of either path holds: two blocks, attention, and the change of size."""


class UNet(nn.Module):
    """The network; its state dictionary has the published layout."""

    def __init__(self, config: UNetConfig = UNIVERSAL) -> None:
        super().__init__()
        self.config = config
        base, context = config.features, config.context
        time = 4 * base
        outs = [base * multiplier for multiplier in config.multipliers]
        ins = [base, *outs[:-1]]
        depth = len(outs)
        self.depth = depth
        if context is not None and config.degradation_context:
            self.prompt = nn.Parameter(torch.rand(1, time))
            self.text_mlp = nn.Sequential(nn.Linear(context, time), nn.SiLU(), nn.Linear(time, time))
            self.prompt_mlp = nn.Linear(time, time)
        self.init_conv = nn.Conv2d(2 * config.channels, base, 7, padding=3, bias=False)
        self.time_mlp = nn.Sequential(
            SinusoidalTime(base), nn.Linear(base, time), nn.GELU(), nn.Linear(time, time)
        )
        if config.scale != 1.0:
            self.downsample = nn.Conv2d(base, base, 4, 2, 1)
            self.upsample = _up(base, base)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, (channels, out) in enumerate(zip(ins, outs, strict=True)):
            last = level == depth - 1
            down = (
                nn.Conv2d(channels, out, 3, padding=1, bias=False) if last else nn.Conv2d(channels, out, 4, 2, 1)
            )
            up = nn.Conv2d(out, channels, 3, padding=1, bias=False) if level == 0 else _up(out, channels)
            attended = level >= config.attention_from
            attentions = [
                _attention(size, context if last else None) if attended else nn.Identity()
                for size in (channels, out)
            ]
            blocks = [ResBlock(channels, channels, time) for _ in range(2)]
            self.downs.append(nn.ModuleList([*blocks, attentions[0], down]))
            blocks = [ResBlock(out + channels, out, time) for _ in range(2)]
            self.ups.insert(0, nn.ModuleList([*blocks, attentions[1], up]))
        self.mid_block1 = ResBlock(outs[-1], outs[-1], time)
        self.mid_attn = _attention(outs[-1], context)
        self.mid_block2 = ResBlock(outs[-1], outs[-1], time)
        self.final_res_block = ResBlock(2 * base, base, time)
        self.final_conv = nn.Conv2d(base, config.channels, 3, padding=1)

    # ------------------------------------------------------------ what is constant

    def condition(self, image: Tensor | None = None, degradation: Tensor | None = None) -> Conditioning:
        """Compute what contexts (B, context), not normalised, contribute at every step.

        Raises:
            ValueError: the network needs an image context and got none, or one of another size.
        """
        size = self.config.context
        if size is None:
            return NO_CONTEXT
        if image is None:
            raise ValueError("this network needs an image context")
        for name, given in (("image", image), ("degradation", degradation)):
            if given is not None and given.shape[-1] != size and (name == "image" or self._prompted):
                raise ValueError(f"the {name} context has {given.shape[-1]} values, this network takes {size}")
        prompt = None
        if degradation is not None and self._prompted:
            prompt = self.prompt_mlp(self.text_mlp(degradation).softmax(dim=-1) * self.prompt)
        return Conditioning(prompt, tuple(transformer.constant(image) for transformer in self._transformers()))

    @property
    def _prompted(self) -> bool:
        return self.config.context is not None and self.config.degradation_context

    def _transformers(self) -> list[SpatialTransformer]:
        """List the transformers in the order they run."""
        return [module for module in self._in_order() if isinstance(module, SpatialTransformer)]

    def _in_order(self) -> list[nn.Module]:
        parts = [self.downs, self.mid_block1, self.mid_attn, self.mid_block2, self.ups, self.final_res_block]
        return [module for part in parts for module in part.modules()]

    def modulations(self, time: Tensor, conditioning: Conditioning) -> list[Tensor]:
        """Compute scale and shift of every residual block in the order they run.

        time: (B,) or, with a conditioning of (B, T), (S, 1) for S steps at once: then each is (S, B, 2 C).
        """
        embedding = self.time_mlp(time.flatten().float()).reshape(*time.shape, -1)
        if conditioning.prompt is not None:
            embedding = embedding + conditioning.prompt
        return [module.modulation(embedding) for module in self._in_order() if isinstance(module, ResBlock)]

    # ------------------------------------------------------------ one evaluation

    def forward(
        self, state: Tensor, degraded: Tensor, time: Tensor, conditioning: Conditioning = NO_CONTEXT
    ) -> Tensor:
        """Predict from a state and a degraded image, both (B, 3, H, W) of any size, at times (B,) or (1,)."""
        return self.evaluate(state, degraded, self.modulations(time, conditioning), conditioning.constants)

    def evaluate(
        self, state: Tensor, degraded: Tensor, modulations: Sequence[Tensor], constants: Sequence[Tensor]
    ) -> Tensor:
        """Predict with what `modulations` and `condition` have computed before."""
        height, width = state.shape[-2:]
        both = self._padded(torch.cat((state - degraded, degraded), dim=1))
        return self._through(both, modulations, constants)[..., :height, :width]

    def compile(self, *given: Any, **how: Any) -> None:  # of torch.compile
        """Compile what `evaluate` runs on a padded image; `Module.compile` reaches only `forward`.

        Padding stays outside, or every size would be a graph of its own. The result is a copy: with CUDA graphs
        the graph's own is overwritten by the next evaluation, and solvers keep more than one.
        """
        compiled = torch.compile(self._through, *given, **how)

        def through(both: Tensor, modulations: Sequence[Tensor], constants: Sequence[Tensor]) -> Tensor:
            return compiled(both, modulations, constants).clone()

        self._through = through  # type: ignore[method-assign]  # that is the point

    def lower(self, dtype: torch.dtype) -> None:
        """Hold in `dtype` the weights that autocast would cast anew at every evaluation; then it is needed.

        What is computed once, outside of autocast (modulations and contexts), keeps float32.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype)
            elif isinstance(module, SpatialTransformer):
                for block in module.transformer_blocks:
                    block.get_submodule("attn1").to(dtype)
                    block.get_submodule("ff").to(dtype)

    def _through(self, both: Tensor, modulations: Sequence[Tensor], constants: Sequence[Tensor]) -> Tensor:
        """Run the layers on (B, 6, H, W) with sides that are multiples of 2^depth."""
        blocks, attended = iter(modulations), iter(constants)

        def residual(block: nn.Module, x: Tensor) -> Tensor:
            out: Tensor = block(x, next(blocks))
            return out

        def attend(attention: nn.Module, x: Tensor) -> Tensor:
            transformer = isinstance(attention, Residual) and isinstance(attention.fn.fn, SpatialTransformer)
            out: Tensor = attention(x, next(attended)) if transformer else attention(x)
            return out

        x = first = self.init_conv(both)
        if self.config.scale != 1.0:
            x = self.downsample(x)
        skips: list[Tensor] = []
        for block1, block2, attention, down in cast("Iterable[_Level]", self.downs):
            x = residual(block1, x)
            skips.append(x)
            x = attend(attention, residual(block2, x))
            skips.append(x)
            x = down(x)
        x = residual(self.mid_block1, x)
        x = attend(self.mid_attn, x)
        x = residual(self.mid_block2, x)
        for block1, block2, attention, up in cast("Iterable[_Level]", self.ups):
            x = residual(block1, torch.cat((x, skips.pop()), dim=1))
            x = residual(block2, torch.cat((x, skips.pop()), dim=1))
            x = up(attend(attention, x))
        if self.config.scale != 1.0:
            x = self.upsample(x)
        x = residual(self.final_res_block, torch.cat((x, first), dim=1))
        out: Tensor = self.final_conv(x)
        return out

    def _padded(self, x: Tensor) -> Tensor:
        """Reflect at right and bottom up to a multiple of 2^depth; repeat the edge of what is too small."""
        height, width = x.shape[-2:]
        multiple = 2**self.depth
        right, down = -width % multiple, -height % multiple
        reflects = right < width and down < height
        return F.pad(x, (0, right, 0, down), mode="reflect" if reflects else "replicate")


def _attention(channels: int, context: int | None) -> Residual:
    branch = LinearAttention(channels) if context is None else SpatialTransformer(channels, context)
    return Residual(channels, branch)


def _up(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, out, 3, padding=1))
