"""One-step solvers in sigma, which is noise over signal: each step uses only its own evaluations.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022): euler, heun. Lu et al.,
"DPM-Solver" and "DPM-Solver++" (2022): dpm_2, dpm++_2s, dpm++_sde. Names with `a` are ancestral: they add noise in
each step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from restorebench_diffbir import schedule as schedules
from restorebench_diffbir.samplers import Noise, Output
from restorebench_diffbir.schedule import Schedule
from restorebench_diffbir.steps import sigma_steps

_MOST_CHURN = math.sqrt(2) - 1


@dataclass(frozen=True)
class Stochasticity:
    """How much noise a step adds.

    churn: total over all steps where sigma lies in [churn_from, churn_to]. eta: of ancestral and SDE solvers; 0
    makes them deterministic. scale: factor of all noise. independent: of `dpm++_sde`, which draws twice in a step.
    By default both draws belong to one path; the published arrays were made with independent ones.
    """

    churn: float = 0.0
    churn_from: float = 0.0
    churn_to: float = 300.0
    eta: float = 1.0
    scale: float = 1.0
    independent: bool = False


class Denoiser:
    """The network as a function of state and sigma that returns its clean estimate.

    The network only knows trained steps. It gets the step with the nearest sigma of those that the solver visits.
    """

    def __init__(self, output: Output, schedule: Schedule, count: int) -> None:
        self.output, self.parameterisation = output, schedule.parameterisation
        self.sigmas: list[float] = schedules.sigmas(schedule, count).tolist()
        self._steps = sigma_steps(count)

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """Return the sigmas at the beginning and the end of each step."""
        return list(zip(self.sigmas, self.sigmas[1:], strict=False))

    def begin(self, noise: Tensor) -> Tensor:
        """Scale noise of variance one to the noisiest sigma."""
        return noise * math.sqrt(1 + self.sigmas[0] ** 2)

    def __call__(self, state: Tensor, sigma: float) -> Tensor:
        index = min(range(len(self.sigmas)), key=lambda each: abs(self.sigmas[each] - sigma))
        norm = math.sqrt(sigma**2 + 1)
        answer = self.output(state / norm, self._steps[index])
        if self.parameterisation == "eps":
            return state - sigma * answer
        return state / norm**2 - (sigma / norm) * answer


def _split(sigma: float, after: float, eta: float) -> tuple[float, float]:
    """Split an ancestral step: return the sigma that it goes down to, and the noise that brings it up again.

    Computed in float32, as published: at a sigma of 1e4 the difference of squares keeps two digits, which changes
    the result of `dpm_2_a`.
    """
    here, there = np.float32(sigma), np.float32(after)
    up = min(there, np.float32(eta) * np.sqrt(there**2 * (here**2 - there**2) / here**2))
    return float(np.sqrt(there**2 - up**2)), float(up)


def _churned(
    denoiser: Denoiser, state: Tensor, sigma: float, noise: Noise, how: Stochasticity
) -> tuple[Tensor, float]:
    """Raise sigma by adding noise; as published, noise is drawn even if there is no churn."""
    drawn, raised = next(noise), sigma
    if how.churn > 0 and how.churn_from <= sigma <= how.churn_to:
        raised = sigma * (1 + min(how.churn / (len(denoiser.sigmas) - 1), _MOST_CHURN))
        state = state + drawn * how.scale * math.sqrt(raised**2 - sigma**2)
    return state, raised


def _slope(state: Tensor, clean: Tensor, sigma: float) -> Tensor:
    return (state - clean) / sigma


def euler(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Step along the slope at each sigma."""
    for sigma, after in denoiser.pairs:
        state, sigma = _churned(denoiser, state, sigma, noise, how)
        state = state + _slope(state, denoiser(state, sigma), sigma) * (after - sigma)
        yield state


def heun(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Step along the mean of the slopes at both ends of a step."""
    for sigma, after in denoiser.pairs:
        state, sigma = _churned(denoiser, state, sigma, noise, how)
        slope = _slope(state, denoiser(state, sigma), sigma)
        if after > 0:
            ahead = state + slope * (after - sigma)
            slope = (slope + _slope(ahead, denoiser(ahead, after), after)) / 2
        state = state + slope * (after - sigma)
        yield state


def dpm_2(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Step along the slope at the midpoint of a step, in the logarithm of sigma."""
    for sigma, after in denoiser.pairs:
        state, sigma = _churned(denoiser, state, sigma, noise, how)
        state = _by_midpoint(denoiser, state, sigma, after)
        yield state


def _by_midpoint(denoiser: Denoiser, state: Tensor, sigma: float, after: float) -> Tensor:
    slope = _slope(state, denoiser(state, sigma), sigma)
    if after > 0:
        middle = math.sqrt(sigma * after)
        ahead = state + slope * (middle - sigma)
        slope = _slope(ahead, denoiser(ahead, middle), middle)
    return state + slope * (after - sigma)


def euler_a(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Step along the slope to below the next sigma, then add noise to reach it."""
    for sigma, after in denoiser.pairs:
        down, up = _split(sigma, after, how.eta)
        state = state + _slope(state, denoiser(state, sigma), sigma) * (down - sigma)
        if after > 0:
            state = state + next(noise) * how.scale * up
        yield state


def dpm_2_a(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Step like `dpm_2` to below the next sigma, then add noise to reach it."""
    for sigma, after in denoiser.pairs:
        down, up = _split(sigma, after, how.eta)
        state = _by_midpoint(denoiser, state, sigma, down)
        if after > 0:
            state = state + next(noise) * how.scale * up
        yield state


def _towards(state: Tensor, clean: Tensor, sigma: float, after: float) -> Tensor:
    """Return the exact solution at another sigma for a constant clean estimate."""
    return clean + (after / sigma) * (state - clean)


def dpmpp_2s_a(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Use the clean estimate at the midpoint, in log sigma, for the whole step; ancestral."""
    for sigma, after in denoiser.pairs:
        down, up = _split(sigma, after, how.eta)
        clean = denoiser(state, sigma)
        if down > 0:
            middle = math.sqrt(sigma * down)
            clean = denoiser(_towards(state, clean, sigma, middle), middle)
        state = _towards(state, clean, sigma, down)
        if after > 0:
            state = state + next(noise) * how.scale * up
        yield state


def dpmpp_sde(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Solve the SDE like `dpm++_2s`: the half step adds noise too, along one Brownian path in sigma."""
    for sigma, after in denoiser.pairs:
        clean = denoiser(state, sigma)
        if after == 0:
            state = clean
        else:
            middle = math.sqrt(sigma * after)
            half, whole = next(noise), next(noise)
            if not how.independent:
                shared = (sigma - middle) / (sigma - after)
                whole = math.sqrt(shared) * half + math.sqrt(1 - shared) * whole
            down, up = _split(sigma, middle, how.eta)
            ahead = _towards(state, clean, sigma, down) + half * how.scale * up
            clean = denoiser(ahead, middle)
            down, up = _split(sigma, after, how.eta)
            state = _towards(state, clean, sigma, down) + whole * how.scale * up
        yield state
