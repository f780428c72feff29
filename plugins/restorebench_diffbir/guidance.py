"""Region-adaptive restoration guidance: it keeps clean estimates close to the stage-1 image where that is flat.

DiffBIR (ECCV 2024), as version 2.0.0 of its code computes it; later releases define the guidance but never call
it.
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
    """Return weights (B, 1, H, W) for (B, 3, H, W) in [-1, 1], sides even: 1 where flat, near 0 in texture.

    A weight is 1 - tanh of the sum of Sobel magnitudes over a block of 2x2 px. (The paper speaks of a mean.)
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
    """Return the squared error, weighted if weights are given: the mean over an image, summed over the batch."""
    error = (estimate - target).square()
    if weights is not None:
        error = weights * error
    return error.mean(dim=(1, 2, 3)).sum()


@dataclass(frozen=True)
class Guidance:
    """The target of clean estimates, and how strongly they are pulled towards it.

    target: what the decoded estimate is compared with. weights: of each pixel; None weights all alike. decode:
    maps a latent to what is compared; None compares latents. factors: by index of a step, the factor of x0 in the
    posterior mean: moving x0 by delta / factor moves that mean by delta. steps: trained steps by index. Guidance
    acts where stop < step + 1 < start. The loss is a mean, so a scale acts less on larger images, as published.
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

    def acts(self, index: int) -> bool:
        """Return whether the step with this index is guided."""
        return self.scale > 0 and self.stop < self.steps[index] + 1 < self.start

    def __call__(self, clean: Tensor, index: int) -> Tensor:
        """Move a clean latent against the gradient of the loss, `repeats` times."""
        if not self.acts(index):
            return clean
        for _ in range(self.repeats):
            clean = clean + self.pull(clean)[0] / self.factors[index]
        return clean

    def pull(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shift of the posterior mean, shaped like the latent, and the loss before the shift."""
        with torch.enable_grad():  # the host wraps restorers in no_grad
            leaf = clean.detach().requires_grad_()
            estimate = leaf if self.decode is None else self.decode(leaf)
            found = loss(estimate, self.target, self.weights)
            (gradient,) = torch.autograd.grad(found, leaf)
        return -_STRENGTH * self.scale * gradient, found.detach()
