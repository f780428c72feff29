"""The report `csv`: each table as CSV with six decimals, LF line ends, and no text that acts as a formula."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from restorebench.toolbox.cells import csv_text, guarded
from restorebench.toolbox.files import replaced

_ROWS = 20_000


class Csv:
    """Writes `<table>.csv` for every table; those of telling and of detectors only if they have rows."""

    def __init__(self, options: None, runtime: None) -> None:
        pass

    def write(self, tables: Any, folder: Path) -> list[Path]:
        """Write the files and return them."""
        frames = {
            "leaderboard": tables.leaderboard.drop(columns=["incomplete", "yardstick"]),
            "comparisons": tables.comparisons,
            "records": tables.records,
            "cost": tables.cost,
            "failures": tables.failures,
        }
        frames |= {
            name: frame
            for name, frame in {"telling": tables.telling, "regret": tables.regret}.items()
            if len(frame)
        }
        if len(tables.detectors):
            frames |= {"detectors": tables.detectors, "labels": tables.labels, "confusion": tables.confusion}
        return [_write(folder / f"{name}.csv", frame) for name, frame in frames.items()]


def _write(path: Path, frame: pd.DataFrame) -> Path:
    with replaced(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_in_portions(frame))
    return path


def as_text(frame: pd.DataFrame) -> str:
    """Render a frame as CSV text."""
    return "".join(_in_portions(frame))


def _in_portions(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the header and then some thousand rows at a time, so that a large table is never in memory as text."""
    yield csv_text([[guarded(str(name)) for name in frame.columns]])
    for start in range(0, len(frame), _ROWS):
        part = frame.iloc[start : start + _ROWS]
        yield csv_text(zip(*(_cells(part[name]) for name in frame.columns), strict=True))


def _cells(values: pd.Series[Any]) -> list[str]:
    """Format one column. Texts occur many times, so each is escaped once."""
    plain = values.tolist()
    texts = {value: guarded(value) for value in {v for v in plain if isinstance(v, str)}}
    return [texts[value] if isinstance(value, str) else _plain(value) for value in plain]


def _plain(value: Any) -> str:
    """Format a value that is not text: floats with six decimals, nothing for a missing value."""
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float):
        text = f"{value:.6f}"
        return text.removeprefix("-") if text == "-0.000000" else text
    return str(value)
