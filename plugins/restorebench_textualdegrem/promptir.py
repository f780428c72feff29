"""PromptIR with a guidance image: the encoder of guided Restormer, and a decoder with learned prompts.

PromptIR: Potlapalli et al. (NeurIPS 2023). Images and guidance are (N, 3, any, any), outputs (N, 3, H, W) like the
images, not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench_textualdegrem.restormer import GuidedTransformer, Sizes
from restorebench_textualdegrem.transformer import Resize, TransformerBlock, convolution


@dataclass(frozen=True)
class PromptSizes:
    """Sizes of the prompts of three levels, the finest first; the published ones by default.

    maps: how many maps a prompt mixes. spare: channels of a convolution that files hold but that is not used.
    """

    channels: tuple[int, int, int] = (64, 128, 320)
    sides: tuple[int, int, int] = (64, 32, 16)
    maps: int = 5
    spare: int = 256


@dataclass(frozen=True)
class PromptedSizes:
    """Sizes of the whole network."""

    network: Sizes = field(default_factory=Sizes)
    prompts: PromptSizes = field(default_factory=PromptSizes)


class Prompt(nn.Module):
    """Learned maps, mixed with weights computed from the mean of features, and resized to the features."""

    def __init__(self, seen: int, channels: int, side: int, maps: int) -> None:
        super().__init__()
        self.prompt_param = nn.Parameter(torch.rand(1, maps, channels, side, side))
        self.linear_layer = nn.Linear(seen, maps)
        self.conv3x3 = convolution(channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, seen, H, W) to (N, channels, H, W)."""
        shares = self.linear_layer(features.mean(dim=(2, 3))).softmax(dim=1)
        mixed = torch.einsum("nm,mchw->nchw", shares, self.prompt_param[0])
        resized = F.interpolate(mixed, size=features.shape[-2:], mode="bilinear", align_corners=False)
        out: Tensor = self.conv3x3(resized)
        return out


class GuidedPromptIR(GuidedTransformer):
    """PromptIR that sees a guidance image at every level of its encoder."""

    def __init__(self, sizes: PromptedSizes | None = None) -> None:
        sizes = sizes or PromptedSizes()
        super().__init__(sizes.network)
        width, heads, centred = sizes.network.width, sizes.network.heads[2], sizes.network.centred
        prompts = sizes.prompts
        seen, reduced = (2 * width, 4 * width, 8 * width), (2 * width, 4 * width, 4 * width)
        for level, (channels, side) in enumerate(zip(prompts.channels, prompts.sides, strict=True), start=1):
            before = seen[level - 1]
            self.add_module(f"prompt{level}", Prompt(before, channels, side, prompts.maps))
            self.add_module(f"noise_level{level}", TransformerBlock(before + channels, heads, centred))
            self.add_module(f"reduce_noise_level{level}", convolution(before + channels, reduced[level - 1], 1))
        self.up4_3, self.up3_2 = Resize(4 * width, up=True), Resize(4 * width, up=True)
        self.reduce_chan_level3 = convolution(6 * width, 4 * width, 1)
        self._add_unused(width, prompts)

    def _add_unused(self, width: int, prompts: PromptSizes) -> None:
        """Add layers that published files hold but that are not used, so that all names of a file match."""
        outs = (*prompts.channels[:2], prompts.spare)
        for level, (channels, out) in enumerate(zip(prompts.channels, outs, strict=True), start=1):
            features = width * 2 ** (level - 1)
            self.add_module(f"chnl_reduce{level}", convolution(channels, out, 1))
            self.add_module(f"reduce_noise_channel_{level}", convolution(features + out, features, 1))

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Decode level by level, with a prompt before each."""
        _, one, two, three, four = levels
        features = self.up4_3(self.prompted(3, four))
        features = self.decoder_level3(self.reduce_chan_level3(torch.cat((features, three), dim=1)))
        features = self.up3_2(self.prompted(2, features))
        features = self.decoder_level2(self.reduce_chan_level2(torch.cat((features, two), dim=1)))
        features = self.up2_1(self.prompted(1, features))
        out: Tensor = self.decoder_level1(torch.cat((features, one), dim=1))
        return out

    def prompted(self, level: int, features: Tensor) -> Tensor:
        """Combine features with the prompt of a level."""
        prompt = self.get_submodule(f"prompt{level}")(features)
        seen = self.get_submodule(f"noise_level{level}")(torch.cat((features, prompt), dim=1))
        out: Tensor = self.get_submodule(f"reduce_noise_level{level}")(seen)
        return out
