"""References to compare methods with: the degraded image, the best affine tone map, fixed and random labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from restorebench import TEN_NAMES, Batch, Detection, RestorebenchError, Runtime, UnknownName
from restorebench.toolbox.images import pixel_digest
from restorebench.toolbox.seeding import generator

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench_classical.options import ConstantOptions, RandomOptions


class Identity:
    """A restorer that returns a copy of its input."""

    def restore(self, batch: Batch) -> Tensor:
        """Return the degraded images, unchanged."""
        return batch.degraded.clone()


class GlobalAffine:
    """A least-squares fit of a*y+b to the clean image, per image and channel: a yardstick, not a competitor."""

    def restore(self, batch: Batch) -> Tensor:
        """Return the clipped fit. A constant channel becomes the clean image's mean.

        Raises:
            RestorebenchError: the batch has no clean images.
        """
        if batch.clean is None:
            raise RestorebenchError("global-affine is a yardstick: it works only on paired data, with `clean`")
        degraded, clean = batch.degraded.double(), batch.clean.double()
        mean, target = degraded.mean((2, 3), keepdim=True), clean.mean((2, 3), keepdim=True)
        variance = (degraded - mean).square().mean((2, 3), keepdim=True)
        covariance = ((degraded - mean) * (clean - target)).mean((2, 3), keepdim=True)
        slope = torch.where(variance > 1e-12, covariance / variance.clamp_min(1e-12), 0.0)
        return (slope * (degraded - mean) + target).clamp(0, 1).to(batch.degraded.dtype)


class Constant:
    """A detector that gives every image the same labels: how restorers do if told nothing, or wrong labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.detection = Detection(frozenset(labels))

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return the same detection for each image of (B, 3, H, W)."""
        return [self.detection] * len(images)


class Random:
    """A detector that names a task at random: equal pixels always get the same one, in any order and batch."""

    def __init__(self, labels: Sequence[str], seed: int) -> None:
        self.labels = labels
        self.seed = seed

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return a detection for each image of (B, 3, H, W), every task with the same probability."""
        rngs = [generator(self.seed, pixel_digest(image.permute(1, 2, 0).cpu().numpy())) for image in images]
        chance = dict.fromkeys(self.labels, 1 / len(self.labels))
        return [Detection(frozenset({self.labels[int(rng.integers(len(self.labels)))]}), chance) for rng in rngs]


def load_identity(options: None, runtime: Runtime) -> Identity:
    """Load `identity`."""
    return Identity()


def load_global_affine(options: None, runtime: Runtime) -> GlobalAffine:
    """Load `global-affine`."""
    return GlobalAffine()


def load_random(options: RandomOptions, runtime: Runtime) -> Random:
    """Load `random`."""
    return Random(TEN_NAMES, options.seed)


def load_constant(options: ConstantOptions, runtime: Runtime) -> Constant:
    """Load `constant`.

    Raises:
        UnknownName: a label is not a task.
    """
    known = [task.name for task in runtime.tasks]
    if unknown := [label for label in options.labels if label not in known]:
        raise UnknownName(f"labels: no task {unknown[0]!r}; there are {', '.join(known)}")
    return Constant(options.labels)
