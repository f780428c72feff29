"""The training of both mappers: how well Stable Diffusion predicts the noise in an image from words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from restorebench import TEN, Runtime
from restorebench.toolbox import places
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources

if TYPE_CHECKING:
    from pathlib import Path

    from restorebench_textualdegrem.parts import Backbones
    from restorebench_textualdegrem.train.config import CleanMapperTraining, MapperTraining


class Noisy(NamedTuple):
    """Latents (B, 4, h, w) with noise, the time steps (B,) that decide how much, and the noise itself."""

    latents: Tensor
    times: Tensor
    noise: Tensor


def runtime(cache: Path) -> Runtime:
    """Return a runtime on the CPU with the cache folder for published parts."""
    return Runtime("cpu", 1, cache, {}, places.offline(), TEN, lambda kind, name: None)


def noisy(parts: Backbones, images: Tensor, numbers: Tensor, seed: int) -> Noisy:
    """Encode images (B, 3, H, W) in [0, 1] and add noise; each sample's draws are a function of its number.

    A latent is drawn from the encoder's distribution, then multiplied by Stable Diffusion's scale.
    """
    trained = parts.schedule.trained
    streams = [generator(seed, "noise", int(number)) for number in numbers]
    times = torch.tensor([int(each.integers(trained)) for each in streams], device=images.device)
    encoded = parts.vae.encode(2 * images - 1).latent_dist

    def draw() -> Tensor:
        each = [
            torch.from_numpy(stream.standard_normal(encoded.mean.shape[1:], dtype="float32")) for stream in streams
        ]
        return torch.stack(each).to(images.device)

    latents = (encoded.mean + encoded.std * draw()) * parts.vae.config.scaling_factor
    noise = draw()
    share = parts.schedule.cumulated().to(images.device)[times][:, None, None, None]
    return Noisy(share.sqrt() * latents + (1 - share).sqrt() * noise, times, noise)


class DrawingStage:
    """The part that both stages share; subclasses decide what is drawn, and from which words."""

    def __init__(self, options: MapperTraining | CleanMapperTraining, parts: Backbones, module: nn.Module) -> None:
        self.settings, self.parts, self.module = options, parts, module
        self.source, self.validation = sources.opened(options)

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield patches from batch number `first` on."""
        options = self.settings
        patches = data.Patches(data.Pairs(self.source, options), options.patch, options.turn)
        return data.batches(patches, options.batch_size, first, rank, world, options.workers)

    def predicted(self, module: nn.Module, given: Noisy, seen: Tensor) -> Tensor:
        """Predict the noise of latents from the words of the images `seen` (B, 3, H, W)."""
        raise NotImplementedError

    def distance(self, module: nn.Module, target: Tensor, seen: Tensor, numbers: Tensor) -> Tensor:
        """Return the mean squared error of the noise in `target`, predicted from the words of `seen`."""
        if self.parts.text.device != target.device:
            self.parts.placed(target.device)
        with torch.no_grad():
            given = noisy(self.parts, target, numbers, self.settings.seed)
        return (self.predicted(module, given, seen).float() - given.noise).square().mean()

    def after_step(self) -> None:
        """Do nothing: no weights have bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Return the mean loss of the first pairs; each has the same crop, time step and noise every time."""
        assert self.validation is not None  # only called with data
        patch, found = self.settings.patch, []
        for number, pair in enumerate(self.validation.validation(self.settings.validation_images)):
            rng = generator(self.settings.seed, "validation", number)
            cut = data.cut_patch(pair.degraded, pair.clean, patch, False, rng)
            degraded, clean = (data.tensor(image)[None].to(device) for image in cut)
            batch = {"degraded": degraded, "clean": clean, "number": torch.tensor([number])}
            with torch.no_grad():
                found.append(float(self.loss(module, batch, device)[0]))
        return {"loss": sum(found) / len(found)}

    def loss(self, module: nn.Module, batch: Any, device: torch.device) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch."""
        raise NotImplementedError
