"""The mean-reverting SDE: schedule tables and the closed forms that training and every sampler share.

With a degraded image mu fixed, a state x_t is mu + a_t (x_0 - mu) + sigma_bar_t e: it starts clean at t = 0 and
ends at mu with noise of standard deviation lambda (Luo et al., "Image Restoration with Mean-Reverting Stochastic
Differential Equations", ICML 2023). Tables are float32 and computed in the order of the published code, so that
states agree with it to the last bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["cosine", "linear", "constant"]
EPSILON = 0.005
"""The weight of the clean image at the last step, in every published configuration."""


@dataclass(frozen=True)
class Schedule:
    """Tables over the steps 0 to `steps`, float32, of length steps + 1.

    theta: the speed of reversion; sigma: the diffusion coefficient; cumulative: sums of theta from 1 on;
    sigma_bar: the standard deviation of a state; dt: 0-d; scale: lambda, the standard deviation that states
    tend to, in image units; time_scale: the factor from a step to the time that a network gets.
    """

    theta: Tensor
    sigma: Tensor
    cumulative: Tensor
    sigma_bar: Tensor
    dt: Tensor
    scale: float
    time_scale: float = 1.0

    @property
    def steps(self) -> int:
        """The last step, T."""
        return len(self.theta) - 1

    def to(self, device: torch.device | str) -> Schedule:
        """Return the schedule with its tables on a device."""
        names = ("theta", "sigma", "cumulative", "sigma_bar", "dt")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def decay(self, step: Step) -> Tensor:
        """Return a_t, the weight of the clean image in a state; it falls from 1 to `EPSILON`."""
        return torch.exp(-self.cumulative[step] * self.dt)

    def network_time(self, step: Tensor | float) -> Tensor | float:
        """Return the time that a network gets at a step."""
        return step * self.time_scale


Step = int | Tensor
"""A step, or a (B, 1, 1, 1) integer tensor of steps, one per image."""


def schedule(
    kind: Kind = "cosine",
    steps: int = 100,
    max_sigma: float = 50.0,
    epsilon: float = EPSILON,
    trained_steps: int | None = None,
) -> Schedule:
    """Build a schedule.

    max_sigma: lambda in grey levels of 255, or in image units if it is below 1. trained_steps: the number of steps
    that the network was trained with, if it is not `steps`. The network then gets rescaled times, whose noise
    level is only near the one that it learned; the solvers of `multistep` skip steps without that error.

    Raises:
        ValueError: fewer than one step, or no such kind.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, got {steps}")
    scale = max_sigma / 255 if max_sigma >= 1 else max_sigma
    theta = _theta(kind, steps)
    cumulative = torch.cumsum(theta, dim=0) - theta[0]
    dt = -1 / cumulative[-1] * math.log(epsilon)
    return from_reversion(theta, cumulative, dt, scale, 1.0 if trained_steps is None else trained_steps / steps)


def from_reversion(
    theta: Tensor, cumulative: Tensor, dt: Tensor, scale: float, time_scale: float = 1.0
) -> Schedule:
    """Build a schedule from the speed of reversion; the arguments are the fields of `Schedule`."""
    return Schedule(
        theta=theta,
        sigma=torch.sqrt(scale**2 * 2 * theta),
        cumulative=cumulative,
        sigma_bar=torch.sqrt(scale**2 * (1 - torch.exp(-2 * cumulative * dt))),
        dt=dt,
        scale=scale,
        time_scale=time_scale,
    )


def _theta(kind: str, steps: int) -> Tensor:
    if kind == "cosine":
        count = steps + 2
        grid = torch.linspace(0, count, count + 1, dtype=torch.float32)
        curve = torch.cos(((grid / count) + 0.008) / (1 + 0.008) * math.pi * 0.5) ** 2
        return 1 - (curve / curve[0])[1:-1]
    if kind == "linear":
        scale = 1000 / (steps + 1)
        return torch.linspace(scale * 0.0001, scale * 0.02, steps + 1, dtype=torch.float32)
    if kind == "constant":
        return torch.ones(steps + 1, dtype=torch.float32)
    raise ValueError(f"no schedule called {kind!r}; there are cosine, linear and constant")


# ---------------------------------------------------------------- states, noise and score


def marginal(schedule: Schedule, clean: Tensor, degraded: Tensor, step: Step, noise: Tensor) -> Tensor:
    """Return the state (B, C, H, W) at a step, given standard normal noise of that shape."""
    mean = degraded + (clean - degraded) * schedule.decay(step)
    return noise * schedule.sigma_bar[step] + mean


def start(schedule: Schedule, degraded: Tensor, noise: Tensor) -> Tensor:
    """Return the state that sampling starts from: the degraded image plus lambda times noise."""
    return degraded + noise * schedule.scale


def clean_from_noise(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, noise: Tensor) -> Tensor:
    """Return the clean image that a state and its noise imply; at the last step errors are magnified 39 times."""
    return (state - degraded - schedule.sigma_bar[step] * noise) / schedule.decay(step) + degraded


def noise_from_clean(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, clean: Tensor) -> Tensor:
    """Return the noise that a state and its clean image imply."""
    return (state - degraded - schedule.decay(step) * (clean - degraded)) / schedule.sigma_bar[step]


def score_from_noise(schedule: Schedule, noise: Tensor, step: Step) -> Tensor:
    """Return the gradient of the log density of a state."""
    return -noise / schedule.sigma_bar[step]


# ---------------------------------------------------------------- steps


def forward_step(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, noise: Tensor) -> Tensor:
    """Take one Euler step of the forward SDE, towards the degraded image."""
    drift = schedule.theta[step] * (degraded - state) * schedule.dt
    return state + drift + schedule.sigma[step] * (noise * torch.sqrt(schedule.dt))


def reverse_sde_mean(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, score: Tensor) -> Tensor:
    """Take one Euler step of the reverse SDE without its noise: the expected next state of the training loss."""
    slope = schedule.theta[step] * (degraded - state) - schedule.sigma[step] ** 2 * score
    return state - slope * schedule.dt


def reverse_sde_step(
    schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, score: Tensor, noise: Tensor
) -> Tensor:
    """Take one Euler step of the reverse SDE."""
    mean = reverse_sde_mean(schedule, state, degraded, step, score)
    return mean - schedule.sigma[step] * (noise * torch.sqrt(schedule.dt))


def reverse_ode_step(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, score: Tensor) -> Tensor:
    """Take one Euler step of the probability-flow ODE."""
    slope = schedule.theta[step] * (degraded - state) - 0.5 * schedule.sigma[step] ** 2 * score
    return state - slope * schedule.dt


def posterior_mean(schedule: Schedule, state: Tensor, degraded: Tensor, step: Step, clean: Tensor) -> Tensor:
    """Return the mean of the previous state given this one and the clean image: the optimal reverse step."""
    of_state, of_clean = posterior_coefficients(schedule, step)
    return of_state * (state - degraded) + of_clean * (clean - degraded) + degraded


def posterior_coefficients(schedule: Schedule, step: Step) -> tuple[Tensor, Tensor]:
    """Return the weights of `state - degraded` and `clean - degraded` in the posterior mean."""
    once = torch.exp(-schedule.theta[step] * schedule.dt)
    here, before = schedule.decay(step), schedule.decay(step - 1)
    return once * (1 - before**2) / (1 - here**2), before * (1 - once**2) / (1 - here**2)


def posterior_std(schedule: Schedule, step: Step) -> Tensor:
    """Return the posterior's standard deviation; at step 1 about 6e-12 rather than 0, as published."""
    # exp(-2 x) here, but exp(-x) squared in the mean: near step 1 they differ in the fourth digit
    once = torch.exp(-2 * schedule.theta[step] * schedule.dt)
    here = torch.exp(-2 * schedule.cumulative[step] * schedule.dt)
    before = torch.exp(-2 * schedule.cumulative[step - 1] * schedule.dt)
    variance = (1 - once) * (1 - before) / (1 - here)
    floor = 1e-20 * schedule.dt
    return torch.exp(0.5 * torch.log(torch.clamp(variance, min=floor))) * schedule.scale
