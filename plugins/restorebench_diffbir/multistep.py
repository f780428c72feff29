"""Multistep solvers: linear multistep in sigma, exponential integrators, and DPM-Solver++(2M) in uniform time.

Lu et al., "DPM-Solver++" (2022); the third order and the SDE forms are those of the k-diffusion library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from torch import Tensor

from restorebench_diffbir.samplers import Noise, Output
from restorebench_diffbir.schedule import Schedule
from restorebench_diffbir.sigma import Denoiser, Stochasticity
from restorebench_diffbir.steps import TRAINED_STEPS

_LEAST_HALF_LOG_SNR = -5.1  # DPM-Solver cuts the schedule off below it: a step without signal has no logarithm


def lms(denoiser: Denoiser, state: Tensor, order: int) -> Iterator[Tensor]:
    """Integrate the polynomial through the last `order` slopes."""
    slopes: list[Tensor] = []
    for index, (sigma, after) in enumerate(denoiser.pairs):
        slopes = [(state - denoiser(state, sigma)) / sigma, *slopes][:order]
        nodes = [denoiser.sigmas[index - back] for back in range(len(slopes))]
        for back, slope in enumerate(slopes):
            state = state + _coefficient(nodes, back, sigma, after) * slope
        yield state


def _coefficient(nodes: list[float], chosen: int, begin: float, end: float) -> float:
    """Integrate the polynomial that is 1 at the chosen node and 0 at the others."""
    others = nodes[:chosen] + nodes[chosen + 1 :]
    polynomial = np.poly1d(others, r=True) if others else np.poly1d([1.0])
    integral = np.polyint(polynomial / polynomial(nodes[chosen]))
    return float(integral(end) - integral(begin))


def dpmpp_2m(denoiser: Denoiser, state: Tensor) -> Iterator[Tensor]:
    """Extrapolate the clean estimate from its change over the last step; second order, deterministic."""
    previous, last_stride = None, 0.0
    for sigma, after in denoiser.pairs:
        clean = denoiser(state, sigma)
        if after == 0:
            state = clean
        else:
            stride = math.log(sigma / after)
            ahead = clean if previous is None else clean + (clean - previous) * stride / (2 * last_stride)
            state = ahead + (after / sigma) * (state - ahead)
            previous, last_stride = clean, stride
        yield state


def dpmpp_2m_sde(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Solve the SDE as `dpmpp_2m` solves the ODE, in the midpoint form."""
    previous, last_stride = None, 0.0
    for sigma, after in denoiser.pairs:
        clean = denoiser(state, sigma)
        if after == 0:
            state = clean
        else:
            stride = math.log(sigma / after)
            kept = math.exp(-(1 + how.eta) * stride)
            ahead = clean if previous is None else clean + (clean - previous) * stride / (2 * last_stride)
            state = kept * state + (1 - kept) * ahead
            state = state + next(noise) * (after * _spread(how.eta, stride) * how.scale)
            previous, last_stride = clean, stride
        yield state


def dpmpp_3m_sde(denoiser: Denoiser, state: Tensor, noise: Noise, how: Stochasticity) -> Iterator[Tensor]:
    """Extrapolate the clean estimate from its first and second changes; third order, on the SDE."""
    cleans: list[Tensor] = []
    strides: list[float] = []
    for sigma, after in denoiser.pairs:
        clean = denoiser(state, sigma)
        if after == 0:
            state = clean
        else:
            stride = math.log(sigma / after)
            reach = (1 + how.eta) * stride
            state = math.exp(-reach) * state - math.expm1(-reach) * clean
            second = math.expm1(-reach) / reach + 1
            if len(cleans) > 1:
                near, far = strides[0] / stride, strides[1] / stride
                newer, older = (clean - cleans[0]) / near, (cleans[0] - cleans[1]) / far
                bend = (newer - older) / (near + far)
                state = state + second * (newer + bend * near) - (second / reach - 0.5) * bend
            elif cleans:
                state = state + second * (clean - cleans[0]) * (stride / strides[0])
            state = state + next(noise) * (after * _spread(how.eta, stride) * how.scale)
            cleans, strides = [clean, *cleans][:2], [stride, *strides][:2]
        yield state


def _spread(eta: float, stride: float) -> float:
    return math.sqrt(-math.expm1(-2 * eta * stride))


class ContinuousTime:
    """A schedule in continuous time: the logarithm of its signal factor, interpolated over time in (0, 1]."""

    def __init__(self, schedule: Schedule) -> None:
        with np.errstate(divide="ignore"):  # the logarithm of a step without signal, which is cut off
            logarithms = 0.5 * np.cumsum(np.log(1 - schedule.betas.astype(np.float32).astype(np.float64)))
            spreads = 0.5 * np.log1p(-np.exp(2 * logarithms))
        kept = int(np.count_nonzero(logarithms - spreads >= _LEAST_HALF_LOG_SNR))
        self._logarithms = logarithms[:kept]
        self._times = np.arange(1, kept + 1) / kept
        self.first = 1 / kept

    def signal(self, time: float) -> float:
        """Return the factor of the clean latent at a time."""
        return math.exp(float(np.interp(time, self._times, self._logarithms)))

    def step(self, time: float) -> float:
        """Return the trained step for a time, as the network gets it; it may lie between two steps."""
        return (time - self.first) * TRAINED_STEPS


def dpmpp_m2(output: Output, schedule: Schedule, steps: int, state: Tensor) -> Iterator[Tensor]:
    """Solve by DPM-Solver++(2M) in equal steps of time; with fewer than ten steps the last has first order."""
    continuous = ContinuousTime(schedule)
    times = np.linspace(1, continuous.first, steps + 1).tolist()
    previous: Tensor | None = None
    last_stride = 0.0
    for index, (time, after) in enumerate(pairwise(times)):
        signal, signal_after = continuous.signal(time), continuous.signal(after)
        spread, spread_after = math.sqrt(1 - signal**2), math.sqrt(1 - signal_after**2)
        answer = output(state, continuous.step(time))
        error = answer if schedule.parameterisation == "eps" else signal * answer + spread * state
        clean = (state - spread * error) / signal
        stride = math.log(signal_after / spread_after) - math.log(signal / spread)
        ahead = clean
        if previous is not None and not (steps < 10 and index == steps - 1):
            ahead = clean + (clean - previous) * stride / (2 * last_stride)
        state = (spread_after / spread) * state - signal_after * math.expm1(-stride) * ahead
        previous, last_stride = clean, stride
        yield state
