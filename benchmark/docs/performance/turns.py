"""How the measuring scripts write down what they timed in turns."""

from __future__ import annotations

import statistics


def spread(values: list[float]) -> str:
    """Write median, least and greatest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
