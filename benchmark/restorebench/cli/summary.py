"""The leaderboard that is printed when a run ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from restorebench.tables.leaderboard import AVERAGE

if TYPE_CHECKING:
    from restorebench.tables.board import Column
    from restorebench.tables.build import Tables


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
