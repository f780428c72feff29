"""Which method serves which task, and in what order a mixture is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from restorebench_classical.raindrop import keep

if TYPE_CHECKING:
    from restorebench.contracts import Image

METHODS: Mapping[str, Callable[[Image], Image]] = {
    "raindrop": keep,
}
"""Task to method, in the order of undoing: what happened last to the light is undone first."""


def plan(labels: Iterable[str]) -> tuple[str, ...]:
    """Order the labels that have a method: mask, codec, sensor, exposure, motion, lens, haze, particles, shadow."""
    told = set(labels)
    return tuple(task for task in METHODS if task in told)
