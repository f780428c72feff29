"""Facts of the published training: its learning rates, and the orientations of its patches."""

from __future__ import annotations

from typing import Any

import numpy as np

EPOCHS = 1000
ENCODER_EPOCHS = 100
"""Epochs at the beginning that train the encoder alone."""
TURNS = range(1, 8)
"""The orientations that training draws for a patch; the original one (0) is not among them."""


def learning_rate(epoch: int) -> float:
    """Return the learning rate during an epoch, counted from 0.

    At the end of each epoch, the published rule sets the rate of the next one. Up to epoch 100 it divides the rate
    by 10 every 60 epochs. After that it starts at 1e-4 and halves the rate every 125 epochs.
    """
    decided = max(epoch - 1, 0)
    if decided <= ENCODER_EPOCHS:
        return float(1e-3 * 0.1 ** (decided // 60))
    return float(1e-4 * 0.5 ** ((decided - ENCODER_EPOCHS) // 125))


def turned(image: np.ndarray[Any, Any], way: int) -> np.ndarray[Any, Any]:
    """Rotate (H, W, C) by `way // 2` quarter turns counter-clockwise, then turn it upside down if `way` is odd."""
    quarters = np.rot90(image, way // 2)
    return np.flipud(quarters) if way % 2 else quarters
