"""Values with their intervals -> where they are on one line, from 0 to 1, to draw them below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BEYOND = 0.6
"""How far a line goes beyond the values on each side, in their span, at most; board.js has the same."""

Interval = tuple[float, float | None, float | None]
"""A finite value, and the ends of its interval or None."""


@dataclass(frozen=True)
class Line:
    """A value on a line from 0 to 1 with its interval. cut: whether that goes beyond the left and right end."""

    at: float
    low: float
    high: float
    cut: tuple[bool, bool]


def lines_of(intervals: Sequence[Interval], holding: Sequence[float] = ()) -> tuple[list[Line], list[float]]:
    """Place intervals on a line, and with them other values that it must hold, such as zero."""
    if not intervals:
        return [], []
    start, end = _scale(intervals, holding)

    def place(value: float) -> float:
        return (value - start) / (end - start)

    found = []
    for value, low, high in intervals:
        left, right = place(value if low is None else low), place(value if high is None else high)
        found.append(Line(place(value), max(left, 0.0), min(right, 1.0), (left < 0, right > 1)))
    return found, [place(value) for value in holding]


def _scale(intervals: Sequence[Interval], holding: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the line: what the intervals need, but not much more than the values span."""
    values = [*(value for value, _, _ in intervals), *holding]
    span = max(values) - min(values) or abs(values[0]) * 0.05 or 1.0
    least = min(value if low is None else low for value, low, _ in intervals)
    most = max(value if high is None else high for value, _, high in intervals)
    start = min(max(least, min(values) - BEYOND * span), min(values))
    end = max(min(most, max(values) + BEYOND * span), max(values))
    return (start, end) if end > start else (start - span / 2, end + span / 2)
