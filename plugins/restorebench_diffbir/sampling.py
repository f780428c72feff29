"""Choice of a sampler by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from restorebench_diffbir import multistep, samplers, sigma
from restorebench_diffbir.samplers import Noise, Output, Steer
from restorebench_diffbir.schedule import Schedule, spaced
from restorebench_diffbir.sigma import Denoiser, Stochasticity

_ONE_STEP = {
    "euler": sigma.euler,
    "euler-a": sigma.euler_a,
    "heun": sigma.heun,
    "dpm-2": sigma.dpm_2,
    "dpm-2-a": sigma.dpm_2_a,
    "dpm++-2s-a": sigma.dpmpp_2s_a,
    "dpm++-sde": sigma.dpmpp_sde,
    "dpm++-2m-sde": multistep.dpmpp_2m_sde,
    "dpm++-3m-sde": multistep.dpmpp_3m_sde,
}


@dataclass(frozen=True)
class Sampling:
    """A sampler by name, and its number of steps. order: of `lms` only."""

    sampler: str
    steps: int
    how: Stochasticity = field(default_factory=Stochasticity)
    order: int = 1


def states(
    sampling: Sampling, output: Output, schedule: Schedule, start: Tensor, noise: Noise, steer: Steer | None = None
) -> Iterator[Tensor]:
    """Yield the states of a sampler, from noise of variance one (or a noised condition) to the result.

    steer: moves clean estimates; only `spaced` uses it.
    """
    name, steps = sampling.sampler, sampling.steps
    if name == "spaced":
        return samplers.ddpm(output, spaced(schedule, steps), start, noise, steer)
    if name == "ddim":
        return samplers.ddim(output, schedule, steps, start, noise)
    if name == "dpm++-m2":
        return multistep.dpmpp_m2(output, schedule, steps, start)
    denoiser = Denoiser(output, schedule, steps)
    state = denoiser.begin(start)
    if name == "lms":
        return multistep.lms(denoiser, state, sampling.order)
    if name == "dpm++-2m":
        return multistep.dpmpp_2m(denoiser, state)
    return _ONE_STEP[name](denoiser, state, noise, sampling.how)
