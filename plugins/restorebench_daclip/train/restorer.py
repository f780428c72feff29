"""Stage two: the U-Net learns to turn noise into clean images, under the contexts of a frozen controller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from restorebench import TEN, Batch, Runtime
from restorebench.toolbox import images
from restorebench.toolbox.networks import drawn_from
from restorebench.toolbox.seeding import generator, key
from restorebench.training import data, sources
from restorebench.training.losses import spectrum_distance
from restorebench.training.sources import Pair
from restorebench.training.validating import restore_centres
from restorebench_daclip import checkpoint, losses, sde
from restorebench_daclip.controller import Controller
from restorebench_daclip.options import OfTraining, Sampling
from restorebench_daclip.sampling import Sampler, bind_unet
from restorebench_daclip.train.config import RestorerTraining
from restorebench_daclip.unet import UNet, UNetConfig


class RestorerStage:
    """Training of the U-Net at random steps: matching loss for the noise head, a distance for the data head."""

    def __init__(self, options: RestorerTraining, cache: Path) -> None:
        self.options = options
        runtime = Runtime("cpu", 1, cache, {}, False, TEN, lambda kind, name: None)
        self.controller = checkpoint.controller_from(options.controller, runtime).requires_grad_(False)
        config = UNetConfig(
            options.features,
            options.multipliers,
            self.controller.embedding,
            options.degradation_context,
            options.scale,
            attention_from=options.attention_from,
        )
        with drawn_from(options.seed):
            self.module: nn.Module = _Conditioned(UNet(config)).to(memory_format=torch.channels_last)
        self._known: dict[int, tuple[Tensor, ...]] = {}  # contexts by the number of the pair
        reuse = options.data.reuse
        self._most_known = reuse.slots if reuse is not None else options.batch_size
        self.schedule = sde.schedule(steps=options.steps, max_sigma=options.max_sigma)
        self.source, self.validation = sources.opened(options)

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches of patches, from batch number `first` on."""
        pairs = data.Pairs(self.source, self.options)
        patches = data.Patches(pairs, self.options.patch, self.options.turn)
        samples = _WithView(patches, self.controller) if self.options.context == "whole" else patches
        return data.batches(samples, self.options.batch_size, first, rank, world, self.options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Compare the prediction for one random state per image with the target."""
        degraded, clean = batch["degraded"].to(device), batch["clean"].to(device)
        table = self._table(device)
        steps, noise = self._draw(batch["number"], clean)
        state = sde.marginal(table, clean, degraded, steps, noise).contiguous(memory_format=torch.channels_last)
        contexts = self._contexts(batch, degraded)
        predicted = module(state, degraded, steps.flatten().float(), *contexts)
        if self.options.prediction == "data":
            predicted = predicted.float()
            loss = losses.data_loss(predicted, degraded, clean, self.options.loss)
            if self.options.spectrum:
                loss = loss + self.options.spectrum * spectrum_distance(predicted, clean - degraded)
            return loss, {}
        loss = losses.matching_loss(table, predicted.float(), state, degraded, clean, steps, self.options.loss)
        return loss, {}

    def _contexts(self, batch: Mapping[str, Any], degraded: Tensor) -> tuple[Tensor, Tensor]:
        """Encode what the controller sees.

        Whole images are encoded one by one, because otherwise the last bits would depend on the batch.
        """
        controller = self.controller.to(degraded.device)
        with torch.no_grad():
            if self.options.context == "patch":
                content, degradation = controller.encode_image(controller.seen(degraded))
                return content.float(), degradation.float()
            for view, pair in zip(batch["view"], batch["pair"].tolist(), strict=True):
                if pair not in self._known:
                    encoded = controller.encode_image(view[None].to(degraded.device))
                    self._known[pair] = tuple(each.float() for each in encoded)
            content, degradation = (
                torch.cat([self._known[pair][half] for pair in batch["pair"].tolist()]) for half in (0, 1)
            )
        while len(self._known) > self._most_known:
            del self._known[next(iter(self._known))]
        return content, degradation

    def _table(self, device: torch.device) -> sde.Schedule:
        if self.schedule.theta.device != device:
            self.schedule = self.schedule.to(device)
        return self.schedule

    def _draw(self, numbers: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Draw the step and the noise of each sample from the sample's number."""
        streams = [generator(self.options.seed, "state", int(number)) for number in numbers]
        last = self.options.steps
        steps = torch.tensor(
            [
                last if each.random() < self.options.start_share else int(each.integers(1, last + 1))
                for each in streams
            ]
        )
        noise = [torch.from_numpy(each.standard_normal(like.shape[1:], dtype="float32")) for each in streams]
        return steps.reshape(-1, 1, 1, 1).to(like.device), torch.stack(noise).to(like.device)

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Restore the centres of validation images with ten evaluations."""
        assert isinstance(module, _Conditioned)  # what this stage trains, or its average
        assert self.validation is not None  # only called with data
        sampling = Sampling(
            sampler="multistep-ode",
            steps=min(10, self.options.steps),
            trained_steps=self.options.steps,
            max_sigma=self.options.max_sigma,
            prediction=self.options.prediction,
        )
        sampler = Sampler(sampling, str(device))
        controller, unet = self.controller.to(device), module.unet

        def restore(degraded: Tensor, pair: Pair) -> Tensor:
            given = degraded.to(device)
            keys, size = (key(self.options.seed, pair.name),), (given.shape[-2], given.shape[-1])
            batch = Batch(given, (None,), keys, size, samples=(pair.name,))
            conditioning = unet.condition(*controller.encode_image(controller.seen(given)))
            return sampler(bind_unet(unet, given, sampler.times, conditioning), batch)

        return restore_centres(self.validation, self.options.validation_images, restore, folder)

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors, and as notes the settings that sampling needs; published files have no notes."""
        assert isinstance(module, _Conditioned)  # what this stage trains, or its average
        given = self.options
        trained = OfTraining(given.prediction, given.steps, given.max_sigma)
        return {"state_dict": dict(module.unet.state_dict()), "notes": trained.notes()}


class _WithView(Dataset[dict[str, Any]]):
    """Patches, each with the controller's view of the whole degraded image and with the number of its pair."""

    def __init__(self, patches: data.Patches, controller: Controller) -> None:
        self.patches, self.controller = patches, controller

    def __getitem__(self, number: int) -> dict[str, Any]:
        pair = self.patches.pairs[number]
        sample = self.patches.cut(pair, number)
        sample["view"] = self.controller.seen(images.to_tensor([pair.degraded]))[0]
        sample["pair"] = self.patches.pairs.number(number)
        return sample


class _Conditioned(nn.Module):
    """The U-Net and the contribution of its contexts as one module call, as distributed training needs it."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, state: Tensor, degraded: Tensor, time: Tensor, image: Tensor, degradation: Tensor) -> Tensor:
        out: Tensor = self.unet(state, degraded, time, self.unet.condition(image, degradation))
        return out
