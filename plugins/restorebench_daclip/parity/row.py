"""One comparison and its verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison. error: the greatest absolute difference beyond what may be relative to the value."""

    subject: str
    error: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Tell whether the error is within what is allowed; NaN is not."""
        return self.error <= self.allowed
