"""What every method is held against: the degraded image itself, and the best affine tone map there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from restorebench import Batch, RestorebenchError, Runtime

if TYPE_CHECKING:
    from torch import Tensor


class Identity:
    """Return a copy of the input."""

    def restore(self, batch: Batch) -> Tensor:
        """Return the degraded images, unchanged."""
        return batch.degraded.clone()


class GlobalAffine:
    """Fit a*y+b per image and channel to the clean image by least squares: a yardstick, not a competitor."""

    def restore(self, batch: Batch) -> Tensor:
        """Return the clipped fit. A constant channel becomes the clean image's mean.

        Raises:
            RestorebenchError: the batch carries no clean image.
        """
        if batch.clean is None:
            raise RestorebenchError("global-affine is a yardstick: it works only on paired data, with `clean`")
        degraded, clean = batch.degraded.double(), batch.clean.double()
        mean, target = degraded.mean((2, 3), keepdim=True), clean.mean((2, 3), keepdim=True)
        variance = (degraded - mean).square().mean((2, 3), keepdim=True)
        covariance = ((degraded - mean) * (clean - target)).mean((2, 3), keepdim=True)
        slope = torch.where(variance > 1e-12, covariance / variance.clamp_min(1e-12), 0.0)
        return (slope * (degraded - mean) + target).clamp(0, 1).to(batch.degraded.dtype)


def load_identity(options: None, runtime: Runtime) -> Identity:
    """Load `identity`."""
    return Identity()


def load_global_affine(options: None, runtime: Runtime) -> GlobalAffine:
    """Load `global-affine`."""
    return GlobalAffine()
