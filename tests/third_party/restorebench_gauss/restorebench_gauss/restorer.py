"""The blur itself: two one-dimensional convolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from restorebench import Batch, Runtime
from restorebench_gauss.options import Options


class Gauss:
    """A Gaussian blur, cut off at three sigma."""

    def __init__(self, options: Options, runtime: Runtime) -> None:
        self.radius = math.ceil(3 * options.sigma)
        place = torch.arange(-self.radius, self.radius + 1, device=runtime.device)
        weights = torch.exp(-place.square() / (2 * options.sigma**2))
        self.kernel = (weights / weights.sum()).expand(3, 1, 1, -1)

    def restore(self, batch: Batch) -> Tensor:
        """Blur (B, 3, H, W), each channel by itself."""
        padded = pad(batch.degraded, [self.radius] * 4, mode="replicate")
        across = conv2d(padded, self.kernel, groups=3)  # (B, 3, H + 2r, W)
        return conv2d(across, self.kernel.transpose(2, 3), groups=3)
