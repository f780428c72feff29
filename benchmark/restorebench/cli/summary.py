"""The leaderboard that is printed when a run ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from restorebench.tables.leaderboard import AVERAGE
from restorebench.toolbox.cells import visible

if TYPE_CHECKING:
    from restorebench.tables.board import Column
    from restorebench.tables.build import Tables
    from restorebench.tables.reporting import Result


def summary(tables: Tables, metrics: int | None = 2) -> list[list[str]]:
    """Lay the leaderboard out for a terminal: a header, then a row per task, a column per restorer.

    A cell shows the first `metrics` scores, or all of them if it is None, as `24.31 / 0.712`; `-` stands for a
    missing value, and `!` follows the scores of an incomplete row.
    """
    shown = tables.board.columns[:metrics]
    frame = tables.leaderboard
    keys = list(dict.fromkeys(zip(frame.restorer, frame.tell, strict=True)))
    header = ["task (" + " / ".join(column.name for column in shown) + ")"]
    header += [name if tell == "nothing" else f"{name} [{tell}]" for name, tell in keys]
    lines = [header]
    many = frame.dataset.nunique() > 1
    for task, dataset in dict.fromkeys(zip(frame.task, frame.dataset, strict=True)):
        part = frame[(frame.task == task) & (frame.dataset == dataset)]
        by_key = {(row["restorer"], row["tell"]): row for _, row in part.iterrows()}
        title = f"{task} ({dataset})" if many else str(task)
        if task == AVERAGE and tables.board.share:
            title += f", {tables.board.share}"
        lines.append([title, *(_shown(by_key.get(key), shown) for key in keys)])
    return lines


def _shown(row: Any, columns: Sequence[Column]) -> str:  # Any: a row of a pandas frame
    if row is None:
        return "-"
    text = " / ".join(_number(row[column.name], column.decimals) for column in columns)
    return text + ("!" if row["incomplete"] else "")


def _number(value: Any, decimals: int) -> str:  # Any: None, or a float that may be NaN
    return "-" if value is None or value != value else f"{value:.{decimals}f}"


def print_result(result: Result, every_column: bool = False) -> None:
    """Print the table of scores per task, the number of failures, and the paths of the files."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    board = result.tables.board
    rows = summary(result.tables, None if every_column else 2)
    table = Table(
        *(escape(visible(name)) for name in rows[0]),
        title=f"{board.suite} (version {board.version})",
        title_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[1:]:
        table.add_row(*(escape(visible(text)) for text in row))
    needed = 1 + sum(3 + max(map(len, column)) for column in zip(*rows, strict=True))
    width = None if sys.stdout.isatty() else max(needed, 40 + 22 * len(rows[0]))
    Console(width=width, highlight=False).print(table)
    if result.failed:
        print(f"{result.failed} failures: {result.folder / 'failures.csv'}")
    print(f"tables: {result.folder / 'leaderboard.csv'} and the files beside it")
