"""How a severity, an explicit option and a unit uniform become a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from restorebench import RestorebenchError

Value = TypeVar("Value")
Range = tuple[float, float]


def at(severity: int, levels: Sequence[Value]) -> Value:
    """Return the entry of a five-row table that a severity from 1 to 5 stands for.

    Raises:
        RestorebenchError: the severity is not one of 1 to 5.
    """
    if severity not in range(1, len(levels) + 1):
        raise RestorebenchError(f"severity {severity} does not exist; give 1 to {len(levels)}")
    return levels[severity - 1]


def within(unit: float, bounds: Range) -> float:
    """Map a uniform of [0, 1) linearly onto a range: the same uniform gives every severity its own value."""
    low, high = bounds
    return float(low + unit * (high - low))


def explicit_or(explicit: Value | None, decided: Value) -> Value:
    """Return the explicit option where one is given, else what the severity decided."""
    return decided if explicit is None else explicit
