"""Restormer with a guidance image, and the encoder that it shares with PromptIR.

Restormer: Zamir et al. (CVPR 2022). Images are (N, 3, H, W) of any size, or (N, 6, H, W) for two views of a
dual-pixel camera; guidance is (N, the same channels, any, any). Outputs are (N, 3, H, W), not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restorebench_textualdegrem.guidance import fitted, fused
from restorebench_textualdegrem.pyramid import FeaturePyramid
from restorebench_textualdegrem.transformer import Projection, Resize, convolution, fusions, transformers


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network, the published ones by default.

    blocks, heads: numbers at the four levels. refinement: blocks at the end. pyramid: residual blocks at its
    levels. fusion: fusion blocks per level. centred: whether normalisation subtracts the mean (`WithBias`).
    dual_pixel: six input channels, and the image is not added to the output.
    """

    width: int = 48
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    refinement: int = 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    pyramid: tuple[int, int, int, int] = (4, 4, 4, 4)
    fusion: tuple[int, int, int, int] = (2, 2, 2, 2)
    centred: bool = True
    dual_pixel: bool = False

    @property
    def channels(self) -> int:
        """Channels of images."""
        return 6 if self.dual_pixel else 3


class GuidedTransformer(nn.Module):
    """The shared part of Restormer and PromptIR: pyramid, encoder with fusion, and both ends of the decoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width, centred = sizes.width, sizes.centred
        levels = list(zip(sizes.blocks, [width, 2 * width, 4 * width, 8 * width], sizes.heads, strict=True))
        self.masa_enc = FeaturePyramid(sizes.channels, width, sizes.pyramid)
        fusing = [
            fusions(count, channels, heads, centred)
            for count, (_, channels, heads) in zip(sizes.fusion, levels, strict=True)
        ]
        self.masa_blk_enc_level1, self.masa_blk_enc_level2, self.masa_blk_enc_level3, self.masa_blk_enc_level4 = (
            fusing
        )
        self.patch_embed = Projection(sizes.channels, width)
        through = [transformers(*level, centred) for level in levels]
        self.encoder_level1, self.encoder_level2, self.encoder_level3, self.latent = through
        self.down1_2, self.down2_3, self.down3_4 = (Resize(channels, up=False) for _, channels, _ in levels[:3])
        self.decoder_level3, self.decoder_level2 = (transformers(*levels[each], centred) for each in (2, 1))
        self.decoder_level1 = transformers(sizes.blocks[0], 2 * width, sizes.heads[0], centred)
        self.refinement = transformers(sizes.refinement, 2 * width, sizes.heads[0], centred)
        self.up2_1 = Resize(2 * width, up=True)
        self.reduce_chan_level2 = convolution(4 * width, 2 * width, 1)
        self.output = convolution(2 * width, 3, 3)
        if sizes.dual_pixel:
            self.skip_conv = convolution(width, 2 * width, 1)

    def forward(self, degraded: Tensor, guidance: Tensor) -> Tensor:
        """Restore images of any size, float32 in and out."""
        height, width = degraded.shape[-2:]
        image, transferred = fitted(self.masa_enc, degraded, guidance)
        levels = self.encode(image, transferred)
        features = self.refinement(self.decode(levels))
        if self.sizes.dual_pixel:
            features = features + self.skip_conv(levels[0])
        out: Tensor = self.output(features.to(self.output.weight.dtype))
        out = out if self.sizes.dual_pixel else out + image
        return out[..., :height, :width]

    def encode(self, image: Tensor, transferred: list[Tensor]) -> list[Tensor]:
        """Return the fused first features, the outputs of three levels, and that of the deepest level."""
        first = self.patch_embed(image.to(self.patch_embed.proj.weight.dtype))
        start = fused(self.masa_blk_enc_level1, first, transferred[0])
        one = self.encoder_level1(start)
        two = self.encoder_level2(fused(self.masa_blk_enc_level2, self.down1_2(one), transferred[1]))
        three = self.encoder_level3(fused(self.masa_blk_enc_level3, self.down2_3(two), transferred[2]))
        four = self.latent(fused(self.masa_blk_enc_level4, self.down3_4(three), transferred[3]))
        return [start, one, two, three, four]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Turn the levels of `encode` into features (N, 2 width, H, W)."""
        raise NotImplementedError

    def lower(self, dtype: torch.dtype) -> None:
        """Compute in another precision.

        The last convolution, whose output is the image, stays in float32, and so does the pyramid: rounding must
        not decide which position is most similar.
        """
        self.to(dtype)
        self.masa_enc.float()
        self.output.float()


class GuidedRestormer(GuidedTransformer):
    """Restormer that sees a guidance image at every level of its encoder."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        sizes = sizes or Sizes()
        super().__init__(sizes)
        width = sizes.width
        self.up4_3, self.up3_2 = Resize(8 * width, up=True), Resize(4 * width, up=True)
        self.reduce_chan_level3 = convolution(8 * width, 4 * width, 1)

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Decode level by level, each with the encoder's output at that level."""
        _, one, two, three, four = levels
        features = self.reduce_chan_level3(torch.cat((self.up4_3(four), three), dim=1))
        features = self.decoder_level3(features)
        features = self.reduce_chan_level2(torch.cat((self.up3_2(features), two), dim=1))
        features = self.decoder_level2(features)
        out: Tensor = self.decoder_level1(torch.cat((self.up2_1(features), one), dim=1))
        return out
