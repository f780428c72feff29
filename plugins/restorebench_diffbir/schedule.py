"""Noise schedules, and their values at the steps that each family of samplers visits.

Stable Diffusion's scaled-linear schedule, and its rescaling to a last step without signal (Lin et al., "Common
Diffusion Noise Schedules and Sample Steps are Flawed", WACV 2024). Tables are computed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from restorebench_diffbir.steps import TRAINED_STEPS, sigma_steps, spaced_steps

_FIRST, _LAST = 0.00085, 0.012
_FIRST_SHARE = 1e-8  # replaces the signal share of the noisiest step, which may be zero: sigma starts at 1e4

Array = np.ndarray[Any, np.dtype[np.float64]]
Parameterisation = Literal["eps", "v"]


@dataclass(frozen=True)
class Schedule:
    """The schedule of a parameterisation: `eps` predicts noise; `v` predicts velocity and ends without signal.

    With x = sqrt(a) x0 + sqrt(1 - a) eps, where a is the cumulated share of signal: v = sqrt(a) eps - sqrt(1 - a)
    x0.
    """

    parameterisation: Parameterisation

    @cached_property
    def betas(self) -> Array:
        """Return the variance added at each trained step, (1000,) float64."""
        shares = self.shares
        return 1 - shares / np.concatenate([[1.0], shares[:-1]])

    @cached_property
    def shares(self) -> Array:
        """Return the share of signal in the mean square after each trained step, (1000,) float64."""
        betas = np.linspace(_FIRST**0.5, _LAST**0.5, TRAINED_STEPS) ** 2
        shares: Array = np.cumprod(1 - betas)
        if self.parameterisation == "eps":
            return shares
        root = np.sqrt(shares)
        rescaled: Array = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        return rescaled

    def noised(self, clean: Tensor, step: int, noise: Tensor) -> Tensor:
        """Add noise to a clean latent, as much as a trained step has."""
        share = float(self.shares[step])
        return math.sqrt(share) * clean + math.sqrt(1 - share) * noise


@dataclass(frozen=True)
class Spaced:
    """Coefficients of spaced DDPM, by the index of a step, 0 for the cleanest; float32 as published.

    posterior mean = first * x0 + second * x_t. to_clean, from_output: x0 = to_clean * x_t - from_output * output.
    """

    steps: tuple[int, ...]
    to_clean: Tensor
    from_output: Tensor
    variance: Tensor
    first: Tensor
    second: Tensor


def spaced(schedule: Schedule, count: int) -> Spaced:
    """Return coefficients of spaced DDPM in `count` steps (Nichol and Dhariwal, 2021; fixed small variance)."""
    steps = spaced_steps(count)
    shares = schedule.shares[list(steps)]
    before = np.concatenate([[1.0], shares[:-1]])
    alphas = shares / before
    betas = 1 - alphas
    if schedule.parameterisation == "eps":
        to_clean, from_output = np.sqrt(1 / shares), np.sqrt(1 / shares - 1)
    else:
        to_clean, from_output = np.sqrt(shares), np.sqrt(1 - shares)
    tables = (
        to_clean,
        from_output,
        betas * (1 - before) / (1 - shares),
        betas * np.sqrt(before) / (1 - shares),
        (1 - before) * np.sqrt(alphas) / (1 - shares),
    )
    return Spaced(steps, *(torch.tensor(table, dtype=torch.float32) for table in tables))


def sigmas(schedule: Schedule, count: int) -> Tensor:
    """Return noise over signal at `sigma_steps`, float32 (count + 1,), from 1e4 down to a final zero."""
    shares = schedule.shares[list(sigma_steps(count)[:-1])].copy()
    shares[0] = _FIRST_SHARE
    found = np.sqrt((1 - shares) / shares)
    return torch.tensor([*found, 0.0], dtype=torch.float32)


def ramp(scale: float, step: float) -> float:
    """Return the scale of ramped guidance at a step: from 1 at the noisiest to 1 + scale at the cleanest."""
    progress = (TRAINED_STEPS - step) / TRAINED_STEPS
    return 1 + scale * (1 - math.cos(math.pi * progress**5)) / 2
