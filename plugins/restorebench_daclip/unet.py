"""The conditional U-Net of DA-CLIP, its wild variant at half resolution, and IR-SDE's without contexts.

The network takes (state - mu, mu), a time and two contexts, and gives a prediction of the state's shape.
`condition` computes the contribution of the contexts, which is the same at every step. `modulations` computes what
depends on the step but not on the state.
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

    features: channels of the first layer. multipliers: channels of each level, as multiples of `features`.
    context: size of the contexts; None for a network without contexts, which has linear attention everywhere.
    degradation_context: whether the degradation feature is a context too. scale: 0.5 for the wild variant, which
    works at half resolution. attention_from: the first level with attention; the levels before it, which have many
    pixels, have none.
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
    """What contexts add: `prompt` to the time embedding, `constants` to every pixel in each transformer."""

    prompt: Tensor | None
    constants: tuple[Tensor, ...]


NO_CONTEXT = Conditioning(None, ())


_Level = tuple[ResBlock, ResBlock, nn.Module, nn.Module]
"""A level of the encoder or decoder: two blocks, attention, and the layer that changes the size."""


class UNet(nn.Module):
    """The U-Net; its state dictionary has the published layout."""

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
        """Compute what the contexts (B, context), not normalised, add at every step.

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
        """Compute scale and shift of every residual block, in the order in which the blocks run.

        time: (B,) for one step, which gives (B, 2 C) for each block; or (S, B) for S steps at once, which gives
        (S, B, 2 C). If the conditioning has a prompt (B, T), (S, 1) gives the same.
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
        """Predict with the results of `modulations` and `condition`."""
        height, width = state.shape[-2:]
        both = self._padded(torch.cat((state - degraded, degraded), dim=1))
        return self._through(both, modulations, constants)[..., :height, :width]

    def compile(self, *given: Any, **how: Any) -> None:  # Any: arguments of torch.compile
        """Compile the layers that `evaluate` runs on a padded image; `Module.compile` compiles only `forward`.

        Padding stays outside, because otherwise every image size would need its own graph. The result is copied:
        with CUDA graphs the next evaluation overwrites the output of the graph, and solvers keep several outputs.
        """
        compiled = torch.compile(self._through, *given, **how)

        def through(both: Tensor, modulations: Sequence[Tensor], constants: Sequence[Tensor]) -> Tensor:
            return compiled(both, modulations, constants).clone()

        self._through = through  # type: ignore[method-assign]  # replaced on purpose

    def lower(self, dtype: torch.dtype) -> None:
        """Store in `dtype` the weights that autocast would otherwise cast at every evaluation.

        Afterwards the network runs only under autocast. Layers that are computed once, outside of autocast
        (modulations and contexts), keep float32.
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
        """Pad right and bottom to a multiple of 2^depth by reflection; small images by repeating their edge."""
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
