"""Thin adapters from the host's batches to functions on single images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from restorebench import Batch, Detection, RestorebenchError, Runtime
from restorebench_classical.methods import METHODS, plan

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench.contracts import Image


class Identity:
    """Return a copy of the input."""

    def restore(self, batch: Batch) -> Tensor:
        """Return the degraded images, unchanged."""
        return batch.degraded.clone()


class Classical:
    """Apply the method of each label an image is told, in the reverse of physical order."""

    def __init__(self, methods: Mapping[str, Callable[[Image], Image]] = METHODS) -> None:
        self.methods = methods

    def restore(self, batch: Batch) -> Tensor:
        """Restore every image by itself, on the CPU, in float32."""
        restored = [self._restore_one(image, told) for image, told in zip(batch.degraded, batch.told, strict=True)]
        return torch.stack(restored)

    def _restore_one(self, degraded: Tensor, told: Detection | None) -> Tensor:
        labels = plan(told.labels) if told else ()
        if not labels:
            return degraded.clone()
        image = np.ascontiguousarray(degraded.permute(1, 2, 0).cpu().numpy(), dtype=np.float32)  # (H, W, 3)
        for label in labels:
            image = np.clip(self.methods[label](image), 0, 1).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(degraded)


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


def load_classical(options: None, runtime: Runtime) -> Classical:
    """Load `classical`."""
    return Classical()


def load_global_affine(options: None, runtime: Runtime) -> GlobalAffine:
    """Load `global-affine`."""
    return GlobalAffine()
