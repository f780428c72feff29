"""Stage 2: sampling of a restored image, conditioned on a stage-1 image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional

from restorebench_diffbir import sizes, windows
from restorebench_diffbir.guidance import Guidance, weight_map
from restorebench_diffbir.networks import REDUCTION, SCALING, Parts, controlled
from restorebench_diffbir.options import Guidance as GuidanceOptions
from restorebench_diffbir.samplers import Guided, Noise, last
from restorebench_diffbir.sampling import Sampling, states
from restorebench_diffbir.schedule import Schedule, spaced
from restorebench_diffbir.steps import TRAINED_STEPS

_MULTIPLE = 64  # px: the U-Net halves a latent three times, and a latent has an eighth of the image's side
_Whole = Callable[[Tensor, Tensor, float, bool], Tensor]  # (state, condition, trained step, positive prompt?)


@dataclass(frozen=True)
class Settings:
    """How stage 2 samples.

    tile, stride: side and distance of windows over the latent, in latent positions; tile is None for no windows.
    """

    schedule: Schedule
    sampling: Sampling
    scale: float = 4.0
    ramped: bool = False
    strength: float = 1.0
    start: Literal["noise", "condition"] = "noise"
    noise_augmentation: int = 0
    tile: int | None = None
    stride: int = 32
    guidance: GuidanceOptions = field(default_factory=GuidanceOptions)


class Pipeline:
    """A sampler that is conditioned on a stage-1 image and two prompts."""

    def __init__(self, parts: Parts, settings: Settings, positive: Tensor, negative: Tensor) -> None:
        """Take the prompts as `text.encoded` returns them, (1, tokens, width) each."""
        self.parts, self.settings = parts, settings
        self.texts = {True: positive, False: negative}

    def __call__(self, clean: Tensor, noise: Callable[[int, int], Noise]) -> Tensor:
        """Sample (B, 3, H, W), about [0, 1], from stage-1 images of the same shape.

        noise: maps (height, width) of a latent to draws (B, 4, height, width).
        """
        height, width = clean.shape[-2:]
        return self.shown(self.sampled(clean, noise))[..., :height, :width]

    def shown(self, latent: Tensor) -> Tensor:
        """Decode a scaled latent to an image, about [0, 1], with its padding: the decoder's attention uses it."""
        return (self.decode(latent) + 1) / 2

    def sampled(self, clean: Tensor, noise: Callable[[int, int], Noise]) -> Tensor:
        """Sample scaled latents (B, 4, h, w) from the padded stage-1 images."""
        settings = self.settings
        given = 2 * sizes.padded(clean, REDUCTION if self._tiled(clean) else _MULTIPLE) - 1
        condition = self.encode(given)
        draws = noise(condition.shape[-2], condition.shape[-1])
        start = next(draws)
        if settings.start == "condition":
            start = settings.schedule.noised(condition, TRAINED_STEPS - 1, start)
        steer = self._guidance(given, condition)
        if settings.noise_augmentation:
            condition = settings.schedule.noised(condition, settings.noise_augmentation, next(draws))
        output = Guided(self._network(condition), settings.scale, settings.ramped)
        return last(states(settings.sampling, output, settings.schedule, start, draws, steer))

    def encode(self, image: Tensor) -> Tensor:
        """Return the scaled mean latent of (B, 3, H, W) in [-1, 1]."""
        mode: Tensor = self.parts.vae.encode(image).latent_dist.mode()
        return mode * SCALING

    def decode(self, latent: Tensor) -> Tensor:
        """Return the image of a scaled latent, about [-1, 1]."""
        image: Tensor = self.parts.vae.decode(latent / SCALING).sample
        return image

    def _tiled(self, clean: Tensor) -> bool:
        """Return whether windows are needed: an image that fits into one is sampled whole."""
        longest = -(-max(clean.shape[-2:]) // REDUCTION)
        return self.settings.tile is not None and longest > self.settings.tile

    def _network(self, condition: Tensor) -> Callable[[Tensor, float, bool], Tensor]:
        """Bind the networks to a condition; they run in windows if it is larger than one window."""
        tile, stride = self.settings.tile, self.settings.stride

        def whole(state: Tensor, seen: Tensor, step: float, positive: bool) -> Tensor:
            context = self.texts[positive].expand(len(state), -1, -1)
            return controlled(self.parts, state, step, seen, context, self.settings.strength)

        def network(state: Tensor, step: float, positive: bool) -> Tensor:
            if tile is None or max(state.shape[-2:]) <= tile:
                return whole(state, condition, step, positive)

            def one(window: windows.Window) -> Tensor:
                top, bottom, left, right = window
                cut = (..., slice(top, bottom), slice(left, right))
                return _at_multiples(whole, state[cut], condition[cut], step, positive)

            return windows.blended(state, tile, stride, one)

        return network

    def _guidance(self, target: Tensor, condition: Tensor) -> Guidance | None:
        """Return the guidance towards the stage-1 image, or None at a scale of 0."""
        chosen = self.settings.guidance
        if chosen.scale == 0:
            return None
        table = spaced(self.settings.schedule, self.settings.sampling.steps)
        weights = weight_map(target) if chosen.loss == "w-mse" else None
        if chosen.space == "latent" and weights is not None:  # the published code fails on this combination
            weights = functional.avg_pool2d(weights, REDUCTION)
        return Guidance(
            target if chosen.space == "rgb" else condition,
            weights,
            self.decode if chosen.space == "rgb" else None,
            chosen.scale,
            table.first,
            table.steps,
            chosen.start,
            chosen.stop,
            chosen.repeats,
        )


def _at_multiples(network: _Whole, state: Tensor, seen: Tensor, step: float, positive: bool) -> Tensor:
    """Evaluate a window, padded to multiples of 8: in an image narrower than a window it may have other sides."""
    height, width = state.shape[-2:]
    multiple = _MULTIPLE // REDUCTION
    out = network(sizes.padded(state, multiple), sizes.padded(seen, multiple), step, positive)
    return out[..., :height, :width]


def tile_vae(vae: Any, side: int) -> None:
    """Let the autoencoder work in tiles with sides of `side` px, which diffusers blends."""
    vae.enable_tiling()
    vae.tile_sample_min_size = side
    vae.tile_latent_min_size = side // REDUCTION
