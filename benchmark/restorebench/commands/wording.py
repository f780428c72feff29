"""What a comparison says, in words and figures, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restorebench.commands.comparing import Comparison


def headline(found: Comparison) -> str:
    """Say what was compared by what."""
    return f"{found.a} against {found.b}, {measure(found)}"


def measure(found: Comparison) -> str:
    """Name the column, its unit and its direction."""
    column = found.column
    unit = f" in {column.unit}" if column.unit else ""
    return f"{column.name}{unit}, {'higher' if column.higher_is_better else 'lower'} is better"


def explained(found: Comparison) -> list[str]:
    """Say how the figures are to be read; a sentence each."""
    lines = [f"note: {note}" for note in found.notes]
    if len(found.family) > 2:
        lines.append(f"p is corrected for all pairs of {', '.join(found.family)}.")
    lines.append("an interval excludes zero exactly where a difference is shown; it holds for its pair alone.")
    lines.append(f"difference: {found.a} minus {found.b}; wins: share of images on which {found.a} is ahead.")
    tasks = [row for row in found.pairs.to_dict("records") if not missing(row["p_board"])]
    if len(tasks) > 1:
        held = [row["task"] for row in tasks if row["separated"] and row["p_board"] <= 1 - found.level]
        shown = ", ".join(held) or "none"
        lines.append(f"corrected for the {len(tasks)} tasks too, a difference is shown on: {shown}.")
    return lines


def task_names(found: Comparison) -> list[str]:
    """Name the task of each row, with its dataset if there are several."""
    several = found.pairs.dataset.nunique() > 1
    return [f"{t} ({d})" if several else t for t, d in zip(found.pairs.task, found.pairs.dataset, strict=True)]


def missing(value: Any) -> bool:
    """Tell whether a frame has no value there."""
    return value is None or value != value


def number(value: float, found: Comparison, sign: str = "") -> str:
    """Format a score with the decimals of its column."""
    return f"{value:{sign}.{found.column.decimals}f}"


def interval(row: Mapping[Any, Any], found: Comparison) -> str:
    """Format an interval; "" if there is none."""
    if missing(row["low"]):
        return ""
    return f"{number(row['low'], found, '+')} to {number(row['high'], found, '+')}"


def p_value(value: float) -> str:
    """Format a p; "" if there is none."""
    if missing(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"
