"""Stage 1: a regression network that removes the degradation and returns the size that stage 2 needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from restorebench_diffbir import sizes, windows
from restorebench_diffbir.rrdb import RRDBNet
from restorebench_diffbir.versions import CleanerKind

_MULTIPLE = 64
_BSRNET_SCALE = 4


@dataclass(frozen=True)
class SwinIRSizes:
    """Widths and depths of SwinIR; the published ones by default."""

    width: int = 180
    depths: tuple[int, ...] = (6,) * 8
    heads: tuple[int, ...] = (6,) * 8


@dataclass(frozen=True)
class SCUNetSizes:
    """Width and depths of SCUNet; the published ones by default."""

    width: int = 64
    depths: tuple[int, ...] = (4,) * 7


def swinir(given: SwinIRSizes | None = None) -> nn.Module:
    """Build SwinIR at an eighth of the resolution (Liang et al., 2021); the output is as large as the input."""
    from spandrel.architectures.SwinIR import SwinIR

    chosen = given or SwinIRSizes()
    built = SwinIR(
        img_size=64,
        embed_dim=chosen.width,
        depths=list(chosen.depths),
        num_heads=list(chosen.heads),
        window_size=8,
        mlp_ratio=2,
        upscale=8,
        upsampler="nearest+conv",
        start_unshuffle=8,
    )
    built.conv_first = nn.Sequential(nn.Identity(), built.conv_first)  # gives it the name of the published files
    network: nn.Module = built
    return network


def scunet(given: SCUNetSizes | None = None) -> nn.Module:
    """Build SCUNet (Zhang et al., 2022); the output is as large as the input."""
    from spandrel.architectures.SCUNet import SCUNet

    chosen = given or SCUNetSizes()
    built: nn.Module = SCUNet(config=list(chosen.depths), dim=chosen.width)
    return built


BUILDERS: dict[CleanerKind, Callable[[], nn.Module]] = {"swinir": swinir, "bsrnet": RRDBNet, "scunet": scunet}
"""The published networks."""

TINY: dict[CleanerKind, Callable[[], nn.Module]] = {
    "swinir": lambda: swinir(SwinIRSizes(12, (2,), (2,))),
    "bsrnet": lambda: RRDBNet(4, 1, 4),
    "scunet": lambda: scunet(SCUNetSizes(64, (1,) * 7)),  # heads of 32 channels need that width
}
"""Networks of the same kinds for trials without weights."""


@dataclass(frozen=True)
class Cleaner:
    """A stage-1 network with the resizing, padding and windows of the published pipelines.

    least: shortest side that stage 2 needs, in px. tile, stride: side and distance of windows over larger images,
    in px; tile is None for no windows.
    """

    kind: CleanerKind
    network: Any
    least: int = 512
    tile: int | None = None
    stride: int = 256

    def __call__(self, image: Tensor) -> Tensor:
        """Restore (B, 3, H, W) in [0, 1]; the result has at least `least` px on both sides and is not clamped."""
        if self.kind == "bsrnet":
            larger = self._tiled(image, lambda part: self.network(part), _BSRNET_SCALE)
            height, width = image.shape[-2:]
            if min(height, width) < self.least:
                return sizes.short_edge(larger, self.least)
            return sizes.resized(larger, height, width)
        if self.kind == "swinir" and self._needs_tiles(image):  # only here the image is enlarged after the network
            return sizes.at_least(self._tiled(image, self._same_size, 1), self.least)
        return self._tiled(sizes.at_least(image, self.least), self._same_size, 1)

    def _same_size(self, image: Tensor) -> Tensor:
        """Restore an image of any size, padded as published: zeros for SwinIR, the repeated edge for SCUNet."""
        height, width = image.shape[-2:]
        if self.kind == "swinir":
            given = sizes.padded(image, _MULTIPLE)
        else:  # spandrel itself would pad by reflection
            given = functional.pad(image, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")
        restored: Tensor = self.network(given)[..., :height, :width]
        return restored

    def _needs_tiles(self, image: Tensor) -> bool:
        return self.tile is not None and max(image.shape[-2:]) > self.tile

    def _tiled(self, image: Tensor, restore: Callable[[Tensor], Tensor], scale: int) -> Tensor:
        if self.tile is None or not self._needs_tiles(image):
            return restore(image)

        def one(window: windows.Window) -> Tensor:
            top, bottom, left, right = window
            return restore(image[..., top:bottom, left:right])

        return windows.blended(image, self.tile, self.stride, one, scale=scale)
