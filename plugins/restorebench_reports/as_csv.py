"""The report `csv`: each table as CSV with six decimals, LF line ends, and no text that acts as a formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from restorebench.toolbox.cells import csv_text, guarded
from restorebench.toolbox.files import atomic_write_text


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
    atomic_write_text(path, as_text(frame))
    return path


def as_text(frame: pd.DataFrame) -> str:
    """Render a frame as CSV text."""
    shown = [[_plain(value) for value in frame[name]] for name in frame.columns]
    return csv_text([[guarded(str(name)) for name in frame.columns], *zip(*shown, strict=True)])


def _plain(value: Any) -> str:
    """Format one value: floats with six decimals, text escaped so that a spreadsheet sees no formula."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        text = f"{value:.6f}"
        return text.removeprefix("-") if text == "-0.000000" else text
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return guarded(str(value))
