"""Facts of the published training: when it learns how fast, and how patches are turned."""

from __future__ import annotations

from typing import Any

import numpy as np

EPOCHS = 1000
ENCODER_EPOCHS = 100
"""Epochs at the beginning that train the encoder alone."""
TURNS = range(1, 8)
"""Ways to turn a patch that training draws from; as it is (0) is not among them."""


def learning_rate(epoch: int) -> float:
    """Return the learning rate in use during an epoch from 0 on.

    The published rule acts at the end of an epoch upon the next one: a tenth per 60 epochs up to epoch 100, then
    from 1e-4 half per 125.
    """
    decided = max(epoch - 1, 0)
    if decided <= ENCODER_EPOCHS:
        return float(1e-3 * 0.1 ** (decided // 60))
    return float(1e-4 * 0.5 ** ((decided - ENCODER_EPOCHS) // 125))


def turned(image: np.ndarray[Any, Any], way: int) -> np.ndarray[Any, Any]:
    """Turn (H, W, C) by `way // 2` quarters counter-clockwise, and upside down where the way is odd."""
    quarters = np.rot90(image, way // 2)
    return np.flipud(quarters) if way % 2 else quarters
