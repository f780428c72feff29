"""Parameters from a severity, an explicit option and a uniform random number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from restorebench import RestorebenchError

Value = TypeVar("Value")
Range = tuple[float, float]


def at(severity: int, levels: Sequence[Value]) -> Value:
    """Return the row of a five-row table for a severity from 1 to 5.

    Raises:
        RestorebenchError: the severity is not in 1 to 5.
    """
    if severity not in range(1, len(levels) + 1):
        raise RestorebenchError(f"severity {severity} does not exist; give 1 to {len(levels)}")
    return levels[severity - 1]


def within(unit: float, bounds: Range) -> float:
    """Map a number in [0, 1) linearly to a range; the same number may serve the ranges of all severities."""
    low, high = bounds
    return float(low + unit * (high - low))


def explicit_or(explicit: Value | None, decided: Value) -> Value:
    """Return the explicit option if it is given, else the value from the severity."""
    return decided if explicit is None else explicit
