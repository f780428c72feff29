"""One metric of a leaderboard as a table of tasks by rows, for a terminal and for a notebook."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from restorebench.records import row_name
from restorebench.tables.board import Column, Family
from restorebench.tables.build import Tables
from restorebench.tables.leaderboard import AVERAGE
from restorebench.toolbox.cells import visible

TaskAndDataset = tuple[str, str]


@dataclass(frozen=True)
class Score:
    """A score as it is shown. best: no row of its family was shown to be better. incomplete: an image failed."""

    text: str
    best: bool
    incomplete: bool


@dataclass(frozen=True)
class Matrix:
    """tasks, names: titles of the tasks, and names of the rows, the best first, told ones and yardsticks last.

    scores: by task and row; None where there is no score.
    """

    tasks: tuple[str, ...]
    names: tuple[str, ...]
    scores: tuple[tuple[Score | None, ...], ...]


def matrix(tables: Tables, column: Column) -> Matrix:
    """Lay one metric out."""
    rows, names = by_place(tables), ordered(tables)
    several = len({dataset for _, dataset in rows}) > 1
    titles, scores = [], []
    for (task, dataset), by_name in rows.items():
        best = tables.compared.best(task, dataset, column.name)
        share = f", {tables.board.share}" if task == AVERAGE and tables.board.share else ""
        titles.append((f"{task} ({dataset})" if several else task) + share)
        scores.append(tuple(_score(by_name.get(name), name in best, column) for name in names))
    return Matrix(tuple(titles), tuple(names), tuple(scores))


def by_place(tables: Tables) -> dict[TaskAndDataset, dict[str, Mapping[str, Any]]]:
    """Return the rows of the leaderboard by task and dataset, and by name."""
    found: dict[TaskAndDataset, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in tables.leaderboard.to_dict("records"):
        found[row["task"], row["dataset"]][row_name(row["restorer"], row["tell"])] = {
            str(key): value for key, value in row.items()
        }
    return found


def ordered(tables: Tables) -> list[str]:
    """Order the names of rows by family, then by `best_in`, then by gain."""
    families = list(Family)
    standing: dict[str, tuple[int, float, float]] = {}
    for (task, _), by_name in by_place(tables).items():
        for name, row in by_name.items():
            place = families.index(Family(row["family"]))
            if task == AVERAGE or name not in standing:
                standing[name] = (place, -_known(row["best_in"]), -_known(row["gain"]))
    return sorted(standing, key=lambda name: standing[name])


def _known(value: Any) -> float:
    return 0.0 if pd.isna(value) else float(value)


def _score(row: Mapping[str, Any] | None, best: bool, column: Column) -> Score | None:
    if row is None or pd.isna(row[column.name]):
        return None
    return Score(f"{row[column.name]:.{column.decimals}f}", best, bool(row["incomplete"]))


def as_html(tables: Tables, column: Column) -> str:
    """Lay one metric out for a notebook: bold for the best rows of a task, `!` for an incomplete one."""
    laid = matrix(tables, column)
    head = "".join(f"<th>{_safe(name)}</th>" for name in laid.names)
    body = "".join(
        f"<tr><th>{_safe(task)}</th>{''.join(f'<td>{_html(score)}</td>' for score in scores)}</tr>"
        for task, scores in zip(laid.tasks, laid.scores, strict=True)
    )
    title = f"{_safe(column.name)} {'↑' if column.higher_is_better else '↓'}"
    return f"<table><caption>{title}</caption><tr><th></th>{head}</tr>{body}</table>"


def _html(score: Score | None) -> str:
    if score is None:
        return "-"
    text = escape(score.text) + ("!" if score.incomplete else "")
    return f"<b>{text}</b>" if score.best else text


def _safe(text: str) -> str:
    return escape(visible(text))
