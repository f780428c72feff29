"""The losses of training."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

CONTRAST_WEIGHT = 0.1


def contrast_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the contrast, the only loss of the first phase."""
    return F.cross_entropy(logits, labels)


def joint_loss(restored: Tensor, clean: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean absolute error of (N, 3, H, W) plus a tenth of the contrast: the second phase."""
    return F.l1_loss(restored, clean) + CONTRAST_WEIGHT * contrast_loss(logits, labels)
