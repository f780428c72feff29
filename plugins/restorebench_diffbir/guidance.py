"""Region-adaptive restoration guidance: hold the clean estimate to the stage-1 image where that image is flat.

DiffBIR (ECCV 2024), as its version 2.0.0 computes it: later releases define it and never call it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Literal["w-mse", "mse"]
Decoder = Callable[[Tensor], Tensor]
"""Scaled latent (B, 4, h, w) -> image (B, 3, 8h, 8w) in [-1, 1], with gradients."""

BLOCK = 2
_LUMA = (0.2989, 0.5870, 0.1140)
_HORIZONTAL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
_STRENGTH = 3000.0  # published factor of the scale


def weight_map(target: Tensor) -> Tensor:
    """Weigh each pixel of (B, 3, H, W) in [-1, 1], sides even: 1 where flat, towards 0 in texture; (B, 1, H, W).

    1 - tanh of the sum of Sobel magnitudes over blocks of 2x2 px. (The paper speaks of a mean.)
    """
    luma = torch.tensor(_LUMA, dtype=target.dtype, device=target.device).view(1, 3, 1, 1)
    grey = ((target + 1) / 2 * luma).sum(dim=1, keepdim=True)
    across = torch.tensor(_HORIZONTAL, dtype=target.dtype, device=target.device)
    kernels = torch.stack([across, across.T])[:, None]  # (2, 1, 3, 3)
    slopes = functional.conv2d(functional.pad(grey, (1, 1, 1, 1), mode="replicate"), kernels)
    magnitude = slopes.square().sum(dim=1, keepdim=True).sqrt()
    summed = functional.avg_pool2d(magnitude, BLOCK) * BLOCK**2
    return 1 - torch.tanh(summed).repeat_interleave(BLOCK, dim=-2).repeat_interleave(BLOCK, dim=-1)


def loss(estimate: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Return the squared error, weighted where weights are given: mean over an image, sum over the batch."""
    error = (estimate - target).square()
    if weights is not None:
        error = weights * error
    return error.mean(dim=(1, 2, 3)).sum()


@dataclass(frozen=True)
class Guidance:
    """What a clean estimate is held to, and how strongly.

    target: what the decoded estimate is compared with, and weights for it, or None for all alike. decode: from a
    latent to what is compared; None compares latents. factors: of x0 in the posterior mean, by place of a step:
    moving x0 by delta / factor moves that mean by delta. steps: trained steps by place; it acts where
    stop < step + 1 < start. The loss is a mean, so that a scale acts less on larger images, as published.
    """

    target: Tensor
    weights: Tensor | None
    decode: Decoder | None
    scale: float
    factors: Tensor
    steps: tuple[int, ...]
    start: int = 1001
    stop: int = -1
    repeats: int = 1

    def acts(self, place: int) -> bool:
        """Tell whether the step at a place is guided."""
        return self.scale > 0 and self.stop < self.steps[place] + 1 < self.start

    def __call__(self, clean: Tensor, place: int) -> Tensor:
        """Move a clean latent against the gradient of the loss, so often as it says."""
        if not self.acts(place):
            return clean
        for _ in range(self.repeats):
            clean = clean + self.pull(clean)[0] / self.factors[place]
        return clean

    def pull(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return by how much the posterior mean moves, like the latent, and the loss before."""
        with torch.enable_grad():  # the host wraps restorers in no_grad
            leaf = clean.detach().requires_grad_()
            estimate = leaf if self.decode is None else self.decode(leaf)
            found = loss(estimate, self.target, self.weights)
            (gradient,) = torch.autograd.grad(found, leaf)
        return -_STRENGTH * self.scale * gradient, found.detach()
