"""The network: a U-Net on a part of the picture, controlled by measurements on the whole picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebench_compact.overview import GRID_PLANES, STATISTICS

KINDS = 11  # the ten tasks in order, then clean
INPUT_PLANES = 13
TONE_PLANES = 7  # logarithms of a factor and an offset per channel, and the logarithm of one exponent
MULTIPLE = 16  # px: sides of inputs are multiples of it, because the network halves them four times
_LEAST = 0.002  # half a grey level: no powers of darker values are taken
_CALM = 0.1  # slows the last layers down: one step of Adam moves all of their many weights at once
_LARGEST = math.log(20.0)  # of a factor; severity 5 of low light needs about 6


class View(NamedTuple):
    """A part of a picture, and measurements of the whole picture.

    image: (B, 3, H, W) in [0, 1]; filled: the same with exactly white holes filled; holes: (B, 1, H, W), 1 in
    holes; statistics: (B, STATISTICS) and grid: (B, GRID_PLANES, 64, 64) of the whole picture, as `overview`
    computes them; box: (B, 4), top, left, bottom, right of the part as shares of the whole. H and W are multiples
    of 16.
    """

    image: Tensor
    filled: Tensor
    holes: Tensor
    statistics: Tensor
    grid: Tensor
    box: Tensor


@dataclass(frozen=True)
class Sizes:
    """Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution, and residual blocks there on the way down and up."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    down: tuple[int, ...] = (1, 1, 1)
    up: tuple[int, ...] = (1, 1, 1)
    middle: int = 2
    after: int = 1
    lead: int = 128

    def notes(self) -> dict[str, Any]:
        """Return the sizes in the form that a file of weights stores."""
        return {"sizes": asdict(self)}


class Block(nn.Module):
    """A residual block, x + conv(relu(conv(x))); it starts close to the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        _start(self.first, math.sqrt(2))
        _start(self.second, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.second(F.relu(self.first(x)))
        return x + added


class Overview(nn.Module):
    """Features of the whole picture: a map by position (B, 32, 16, 16), and one vector (B, 192)."""

    PLACES, WIDTH = 32, 192

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Sequential(
            nn.Conv2d(GRID_PLANES, 24, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, self.PLACES, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.far = nn.Sequential(nn.Conv2d(self.PLACES, 64, 3, stride=2, padding=1), nn.ReLU())
        self.numbers = nn.Sequential(nn.Linear(STATISTICS, 64), nn.ReLU())
        for layer in (*self.near, *self.far, *self.numbers):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                _start(layer, math.sqrt(2))

    def forward(self, statistics: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        layout = self.near(grid)
        deep = self.far(layout)
        numbers = self.numbers(statistics)
        return layout, torch.cat([numbers, deep.mean(dim=(2, 3)), deep.amax(dim=(2, 3))], dim=1)


class Compact(nn.Module):
    """A network that restores a part of a picture, and names the degradation of the picture.

    The result is G (v + R') + B. v is x where nothing is missing; in holes it moves from x towards the filled
    image, as far as the network decides. R' is the detail that the network adds. G and B change slowly over the
    picture, and an exponent changes tones. At the start of training the result is the identity.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = sizes.widths
        deepest = widths[-1]
        self.stem = nn.Conv2d(4 * INPUT_PLANES, widths[0], 3, padding=1)
        _start(self.stem, 1.4)
        self.down = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, sizes.down, strict=False))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.middle = _blocks(deepest, sizes.middle)
        self.overview = Overview()
        self.place = nn.Conv2d(Overview.PLACES, deepest, 1)
        self.lead = nn.Sequential(nn.Linear(Overview.WIDTH + 2 * deepest, sizes.lead), nn.ReLU())
        _start(self.lead[0], math.sqrt(2))
        self.modulation = nn.Linear(sizes.lead, 2 * deepest)
        self.after = _blocks(deepest, sizes.after)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, sizes.up, strict=False))
        self.local_tone = nn.Conv2d(widths[1], TONE_PLANES, 3, padding=1)
        self.global_tone = nn.Linear(sizes.lead + STATISTICS, TONE_PLANES)
        self.detail = nn.Conv2d(widths[0], 16, 3, padding=1)
        self.kinds = nn.Linear(sizes.lead, KINDS)
        for layer in (*self.shrink, *self.grow, self.place, self.kinds):
            _start(layer, 1.0)
        for layer in (self.modulation, self.local_tone, self.global_tone, self.detail):
            _start(layer, 0.0)

    def encode(self, view: View) -> tuple[Tensor, list[Tensor], Tensor]:
        """Return the deepest features, the features on the way down, and the overview's vector of the whole."""
        planes = torch.cat([view.image, view.filled, view.holes, *openings(view.image)], dim=1)
        x = self.stem(F.pixel_unshuffle(4 * (planes - 0.5), 2))
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            x = blocks(x)
            skips.append(x)
            x = shrink(x)
        layout, whole = self.overview(view.statistics, view.grid)
        x = x + self.place(_cut(layout, view.box, x.shape[2:]))
        return self.middle(x), skips, whole

    def forward(self, view: View) -> tuple[Tensor, Tensor]:
        """Return the restored part (B, 3, H, W), not clipped, and logits of the picture's degradation (B, 11)."""
        x, skips, whole = self.encode(view)
        mean, square = x.mean(dim=(2, 3)), x.square().mean(dim=(2, 3))
        lead = self.lead(torch.cat([whole, mean, (square + 1e-6).sqrt()], dim=1))
        factor, offset = self.modulation(lead)[:, :, None, None].chunk(2, dim=1)
        x = self.after(x * (1 + factor) + offset)
        features = []
        for blocks, grow, skip in zip(reversed(self.up), reversed(self.grow), reversed(skips), strict=True):
            x = blocks(F.pixel_shuffle(grow(x), 2) + skip)
            features.append(x)
        tone = F.interpolate(self.local_tone(features[-2]), scale_factor=4, mode="bilinear", align_corners=False)
        tone = tone + self.global_tone(torch.cat([lead, view.statistics], dim=1))[:, :, None, None]
        detail = F.pixel_shuffle(self.detail(features[-1]), 2)
        return _composed(view, tone, detail), self.kinds(lead)


def _composed(view: View, tone: Tensor, detail: Tensor) -> Tensor:
    """Apply tone and detail to the part."""
    trust = view.holes * torch.sigmoid(detail[:, 3:] + 1)
    tone = _CALM * tone
    x = view.image + trust * (view.filled - view.image) + _CALM * detail[:, :3]
    bright = x.clamp_min(_LEAST)
    x = x + (bright ** tone[:, 6:].clamp(-1.5, 1.5).exp() - bright)
    return tone[:, :3].clamp(-_LARGEST, _LARGEST).exp() * x + tone[:, 3:6]


def openings(image: Tensor) -> list[Tensor]:
    """Return grey openings along rows, with windows of 7 and 15 px; they remove thin bright streaks."""
    found = []
    for step, half in ((3, 3), (7, 7)):
        padded = F.pad(image, (half, half, 0, 0), mode="replicate")
        least = _along(torch.minimum, padded, step)
        found.append(_along(torch.maximum, F.pad(least, (half, half, 0, 0), mode="replicate"), step))
    return found


def _along(extreme: Any, x: Tensor, step: int) -> Tensor:
    """Return the extreme in windows of 7 (step 3) or 15 px (step 7) along rows, by doubling shorter windows."""
    width = 1
    while 2 * width <= step + 1:
        x = extreme(x[..., :-width], x[..., width:])
        width *= 2
    found: Tensor = extreme(x[..., :-step], x[..., step:])
    return found


def _cut(layout: Tensor, box: Tensor, size: Sequence[int]) -> Tensor:
    """Sample features of the whole picture at the pixels of the box, (B, C, *size)."""
    axes = [
        (torch.arange(length, device=box.device) + 0.5) / length * (box[:, last, None] - box[:, first, None])
        + box[:, first, None]
        for length, first, last in zip(size, (0, 1), (2, 3), strict=True)
    ]  # (B, h) and (B, w), shares of the whole
    down, right = (2 * axis - 1 for axis in axes)
    points = torch.stack(
        [right[:, None, :].expand(-1, size[0], -1), down[:, :, None].expand(-1, -1, size[1])], dim=3
    )
    return F.grid_sample(layout, points, mode="bilinear", padding_mode="border", align_corners=False)


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def _start(layer: nn.Module, gain: float) -> None:
    """Draw weights from N(0, gain^2 / inputs), biases zero (LeCun's rule at gain 1)."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    inputs = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
