"""The published tables of a run -> the same tables that reporters get, without its data and plugins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from restorebench.contract.errors import RunFolderError
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.reading import read_run, read_table

_KEY = ("task", "dataset", "restorer", "tell")
_TEXTS = frozenset(
    {*_KEY, "suite", "suite_version", "column", "detector", "verdict", "label", "kind", "sample", "scene", "told"}
    | {"device", "threads", "batch_size", "fallback", "warm", "score", "reason", "status", "digest"}
)
"""Columns of the tables below whose values are texts, whatever they look like; all others are numbers."""
_NEEDED = {
    "cost": ("task", "dataset", "restorer", "tell", "seconds_per_megapixel", "device"),
    "failures": ("task", "dataset", "sample", "restorer", "detector", "reason"),
    "telling": ("task", "dataset", "restorer", "column", "kind", "value"),
    "regret": ("task", "dataset", "restorer", "detector", "verdict", "loss"),
    "detectors": ("task", "dataset", "detector", "images", "accuracy"),
    "labels": ("dataset", "detector", "label", "f1"),
    "confusion": ("task", "dataset", "detector", "verdict", "images"),
}
"""The tables that are taken as they were published, because records.csv does not hold what they are made of."""


def read_tables(folder: Path) -> Tables:
    """Read the tables of a run. Rows are compared again; a table that the run did not write has no rows.

    Raises:
        RunFolderError: a file is missing, is damaged, or was written by an older version.
    """
    run = read_run(folder)
    tables = tables_of(run.board, run.cells)
    absent = set() if run.detectors else {"detectors", "labels", "confusion"}
    absent |= {"telling", "regret"} if tables.telling.empty else set()
    found = {name: _frame(folder / f"{name}.csv", name in absent) for name in _NEEDED}
    return replace(
        tables,
        leaderboard=_with_status(tables.leaderboard, folder / "leaderboard.csv"),
        cost=found["cost"],
        failures=found["failures"],
        telling=found["telling"],
        regret=found["regret"],
        detectors=found["detectors"],
        labels=found["labels"],
        confusion=found["confusion"],
    )


def _frame(path: Path, absent: bool) -> pd.DataFrame:
    """Read one table. absent: the run has none; a file of that name is of an earlier run in the same folder."""
    needed = _NEEDED[path.stem]
    if absent or not path.exists():
        return pd.DataFrame(columns=list(needed))
    frame = read_table(path, *needed)
    numbers = [name for name in frame.columns if name not in _TEXTS]
    try:
        return frame.assign(**{name: pd.to_numeric(frame[name].replace("", None)) for name in numbers})
    except ValueError as error:
        again = f"`restorebench report {path.parent}` writes it again"
        raise RunFolderError(f"{path}: a number cannot be read ({error}); {again}") from error


def _with_status(rebuilt: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Give the rows the status that was published, which says more than the records do."""
    published = {
        tuple(row[:-1]): row[-1] for row in read_table(path, "status")[[*_KEY, "status"]].itertuples(index=False)
    }
    keys = rebuilt[list(_KEY)].itertuples(index=False)
    return rebuilt.assign(status=[published.get(tuple(key), "") for key in keys])
