"""Departures from a protocol, in words; and the arrays that they are made on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]  # (3, H, W) or (1, H, W), in [0, 1] unless a step says otherwise


@dataclass(frozen=True)
class Step:
    """Departures from a protocol, in words, and their rarity; without words there is none."""

    words: tuple[str, ...] = ()
    rarity: float = 0.0

    def __add__(self, other: Step) -> Step:
        return Step(self.words + other.words, self.rarity + other.rarity)


def step(words: str, rarity: float) -> Step:
    """Return the step of one departure."""
    return Step((words,), rarity)
