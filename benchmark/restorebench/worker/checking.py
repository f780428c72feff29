"""The values of restored images, which tell whether a method returns [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebench.records import Values


def values(restored: Tensor, degraded: Tensor) -> list[Values]:
    """Describe the values of restored images (B, 3, H, W), before they are clipped; degraded: their inputs.

    A suite may ask for noise that is not clipped: what lies in the range of the input counts as inside.
    """
    found = []
    for image, given in zip(restored, degraded, strict=True):
        least, greatest = (float(each) for each in torch.aminmax(image))
        outside = 0.0
        if least < 0 or greatest > 1:
            low, high = (float(each) for each in torch.aminmax(given))
            outside = float(((image < min(low, 0.0)) | (image > max(high, 1.0))).double().mean())
        found.append(Values(least, greatest, float(image.mean()), outside))
    return found
