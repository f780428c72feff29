"""Sampling of images: a network bound to a batch, and the sampler that the options choose."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from restorebench import Batch, ContractViolation, Fallback
from restorebench.toolbox.networks import DTYPES
from restorebench.toolbox.seeding import normal
from restorebench_daclip import multistep, samplers, sde
from restorebench_daclip.nafnet import NAFNet
from restorebench_daclip.options import Sampling
from restorebench_daclip.samplers import Predictor
from restorebench_daclip.unet import Conditioning, UNet

_STEP_BY_STEP = {"posterior": samplers.posterior, "sde": samplers.reverse_sde, "ode": samplers.reverse_ode}
Evaluator = Callable[[Tensor, int], Tensor]
"""A network bound to a degraded batch: (state (B, 3, H, W), index of the time) -> its prediction."""


def bind_unet(unet: UNet, degraded: Tensor, times: Sequence[float], conditioning: Conditioning) -> Evaluator:
    """Bind a U-Net and its contexts; the scales and shifts of all steps are computed here, once."""
    all_times = torch.tensor(times, device=degraded.device)[:, None]
    modulations = unet.modulations(all_times.expand(-1, len(degraded)), conditioning)

    def evaluate(state: Tensor, index: int) -> Tensor:
        return unet.evaluate(state, degraded, [each[index] for each in modulations], conditioning.constants)

    return evaluate


def bind_nafnet(nafnet: NAFNet, degraded: Tensor, times: Sequence[float]) -> Evaluator:
    """Bind a NAFNet, which has no contexts."""
    all_times = torch.tensor(times, device=degraded.device)

    def evaluate(state: Tensor, index: int) -> Tensor:
        return nafnet(state, degraded, all_times[index : index + 1])

    return evaluate


class Sampler:
    """The sampler, schedule and precision that the options choose."""

    def __init__(self, options: Sampling, device: str) -> None:
        self.options = options
        self.device = torch.device(device)
        self.trained = trained = options.of_training
        skipping = options.sampler.startswith("multistep")
        steps = trained.steps if skipping else options.evaluations
        table = sde.schedule(options.schedule, steps, trained.max_sigma, trained_steps=trained.steps)
        self._levels = multistep.levels(table, options.evaluations, options.grid) if skipping else []
        evaluated = [level.time for level in self._levels] if skipping else range(steps, 0, -1)
        self.times = [float(table.network_time(time)) for time in evaluated]
        """The times that the network gets at its evaluations, first to last."""
        self._schedule = table.to(self.device)

    def __call__(self, evaluate: Evaluator, batch: Batch) -> Tensor:
        """Restore a batch: (B, 3, H, W) float32, not clipped.

        The noise depends only on each image's key and on the position in the whole image.
        """
        if self.options.precision == "fp32":
            return self._sample(evaluate, batch)
        precision = self.options.precision

        def evaluate_lower(state: Tensor, index: int) -> Tensor:
            with torch.autocast(self.device.type, DTYPES[precision]):
                return evaluate(state, index).float()

        result = self._sample(evaluate_lower, batch)
        finite = torch.isfinite(result).flatten(1).all(dim=1)
        if finite.all():
            return result
        if not self.options.retry_in_fp32:
            raise ContractViolation(
                f"{precision} gave NaN or infinite values: set retry_in_fp32 or another precision"
            )
        warnings.warn(f"{precision} gave NaN; fp32", Fallback, stacklevel=2)
        # finite images keep their result, so that it does not depend on the other images of the batch
        return torch.where(finite[:, None, None, None], result, self._sample(evaluate, batch))

    def _sample(self, evaluate: Evaluator, batch: Batch) -> Tensor:
        index_of = {time: index for index, time in enumerate(self.times)}

        def network(state: Tensor, time: float) -> Tensor:
            return evaluate(state.contiguous(memory_format=torch.channels_last), index_of[time])

        def noise(step: int) -> Tensor:
            top, left = batch.window
            height, width = batch.degraded.shape[-2:]
            window = (top, left, height, width)
            return normal(batch.keys, 0, step, (3, *batch.full_size), window, batch.degraded.device)

        predictor = Predictor(network, batch.degraded, self._schedule, self.trained.prediction)
        if (sampler := _STEP_BY_STEP.get(self.options.sampler)) is not None:
            return samplers.last(sampler(predictor, noise))
        states = multistep.multistep(
            predictor,
            noise,
            self._levels,
            order=self.options.order,
            form=self.options.form,
            stochastic=self.options.sampler == "multistep-sde",
        )
        return samplers.last(states)
