"""The restorer `classical`, which applies functions on single images to the host's batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from restorebench import Batch, Detection, Runtime
from restorebench_classical.methods import METHODS, plan

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Image


class Classical:
    """A restorer that applies the method of each label that it is told for an image, in reverse physical order."""

    def __init__(self, methods: Mapping[str, Callable[[Image], Image]] = METHODS) -> None:
        self.methods = methods

    def restore(self, batch: Batch) -> Tensor:
        """Restore every image separately, on the CPU, in float32."""
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


def load_classical(options: None, runtime: Runtime) -> Classical:
    """Load `classical`."""
    return Classical()
