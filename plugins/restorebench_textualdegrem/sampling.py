"""Sampling of a guidance image's latent: DDIM without added noise, with classifier-free guidance.

Song et al., "Denoising Diffusion Implicit Models" (ICLR 2021); Ho and Salimans, "Classifier-Free Diffusion
Guidance" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from restorebench import RestorebenchError
from restorebench_textualdegrem.options import SCALE, STEPS

Denoiser = Callable[[Tensor, int, Tensor], Tensor]
"""(latent (B, C, h, w), time step, text (B, tokens, channels)) -> noise like the latent."""

_FIXED = {
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
    "set_alpha_to_one": False,
}
_NUMBERS = ("beta_start", "beta_end", "num_train_timesteps")


@dataclass(frozen=True)
class Schedule:
    """A noise schedule; Stable Diffusion's by default."""

    first: float = 0.00085
    last: float = 0.012
    trained: int = 1000
    offset: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Schedule:
        """Read a schedule from the scheduler's configuration of a Stable Diffusion.

        Raises:
            RestorebenchError: it is for another kind of prediction or schedule, or lacks a number.
        """
        for name, expected in _FIXED.items():
            if (found := config.get(name, expected)) != expected:
                raise RestorebenchError(
                    f"scheduler: {name} is {found!r}, not {expected!r}; take Stable Diffusion 2.1-base"
                )
        if lacking := [name for name in _NUMBERS if name not in config]:
            raise RestorebenchError(f"scheduler: no {lacking[0]}; take that of Stable Diffusion 2.1-base")
        return cls(
            config["beta_start"],
            config["beta_end"],
            config["num_train_timesteps"],
            config.get("steps_offset", cls.offset),
        )

    def cumulated(self) -> Tensor:
        """Return the share of signal in the mean square at every trained step, float32."""
        betas = torch.linspace(self.first**0.5, self.last**0.5, self.trained, dtype=torch.float32) ** 2
        return (1 - betas).cumprod(dim=0)

    def times(self, steps: int = STEPS) -> list[int]:
        """Return the trained steps that sampling visits, the noisiest first."""
        stride = self.trained // steps
        return [self.offset + stride * step for step in reversed(range(steps))]


def guided(unconditional: Tensor, conditional: Tensor, scale: float = SCALE) -> Tensor:
    """Extrapolate from the noise of an empty prompt to that of the prompt."""
    return unconditional + scale * (conditional - unconditional)


def ddim_step(latent: Tensor, noise: Tensor, now: Tensor, after: Tensor) -> Tensor:
    """Take one step; now, after: shares of signal before and after it."""
    clean = (latent - (1 - now).sqrt() * noise) / now.sqrt()
    return after.sqrt() * clean + (1 - after).sqrt() * noise


def sample(
    denoiser: Denoiser,
    latent: Tensor,
    texts: tuple[Tensor, Tensor],
    schedule: Schedule,
    steps: int = STEPS,
    scale: float = SCALE,
) -> Tensor:
    """Turn noise (B, C, h, w) into a latent; texts: empty prompt and prompt, (B, tokens, channels) each."""
    shares = schedule.cumulated().to(latent.device)
    stride = schedule.trained // steps
    for time in schedule.times(steps):
        unconditional, conditional = (denoiser(latent, time, text) for text in texts)
        after = shares[max(time - stride, 0)]
        noise = guided(unconditional, conditional, scale)
        latent = ddim_step(latent.float(), noise.float(), shares[time], after).to(latent.dtype)
    return latent
