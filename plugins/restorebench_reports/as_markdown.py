"""The report `markdown`: the leaderboard as a Markdown page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from restorebench.toolbox.cells import visible
from restorebench.toolbox.files import atomic_write_text

_MARKUP = "\\`*_[]|#~$"
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


class Markdown:
    """Writes leaderboard.md: one matrix per metric, with the best value of a task in bold, then all rows."""

    def __init__(self, options: None, runtime: None) -> None:
        pass

    def write(self, tables: Any, folder: Path) -> list[Path]:
        """Write the page and return it."""
        board, procedure = tables.board, tables.procedure
        fewest = procedure["fewest_scenes"]
        parts = [f"# {board.suite} (version {board.version})"]
        for column in board.columns:
            parts += [f"## {column.name}", _matrix(tables, column)]
        parts.append(
            "**Bold** marks every row that no other row of the task was shown to be better than"
            f" ({procedure['level']:.0%}, corrected for all pairs of the task). Rows that were told the task,"
            " and yardsticks, are compared among themselves. Nothing is bold where there are fewer than"
            f" {fewest} scenes. `!` marks an incomplete row, *italics* a yardstick: it saw the clean image."
        )
        parts += ["## Rows", _rows(tables.leaderboard, board.columns)]
        path = folder / "leaderboard.md"
        atomic_write_text(path, "\n\n".join(parts) + "\n")
        return [path]


def _matrix(tables: Any, column: Any) -> str:
    """Lay one metric out: restorers down, tasks across. Yardsticks are in italics and never bold."""
    frame = tables.leaderboard
    tasks = list(dict.fromkeys(zip(frame.task, frame.dataset, strict=True)))
    keys = list(dict.fromkeys(zip(frame.restorer, frame.tell, strict=True)))
    rows = {(r["task"], r["dataset"], r["restorer"], r["tell"]): r for _, r in frame.iterrows()}
    marked = {task: tables.compared.best(*task, column.name) for task in tasks}
    lines = []
    for name, tell in keys:
        found = [rows.get((*task, name, tell)) for task in tasks]
        row_name = name if tell == "nothing" else f"{name}:{tell}"
        best = [row_name in marked[task] for task in tasks]
        title = _safe(row_name)
        if any(_is_yardstick(row) for row in found if row is not None):
            title = f"*{title}*"
        lines.append([title, *(_cell(row, bold, column) for row, bold in zip(found, best, strict=True))])
    many = len({dataset for _, dataset in tasks}) > 1
    titles = [_safe(f"{task} ({dataset})" if many else task) for task, dataset in tasks]
    return tabulate(lines, ["restorer", *titles], tablefmt="github", disable_numparse=True)


def _is_yardstick(row: Any) -> bool:
    return bool(row["yardstick"])


def _cell(row: Any, bold: bool, column: Any) -> str:
    if row is None or row[column.name] is None or row[column.name] != row[column.name]:
        return "-"
    text = f"{row[column.name]:.{column.decimals}f}"
    return f"**{text}**" if bold else text + ("!" if row["incomplete"] else "")


def _rows(frame: Any, columns: Any) -> str:
    names = ["task", "dataset", "restorer", "tell", "n_images", "n_scenes", "gain", "ranks", "group", "status"]
    first = next((column for column in columns if column.ranks), columns[0])
    lines = []
    for _, row in frame.iterrows():
        low, high = row[f"{first.name}_low"], row[f"{first.name}_high"]
        shown = "" if low is None or low != low else f"{low:.{first.decimals}f} to {high:.{first.decimals}f}"
        fields = dict(row) | {"ranks": _ranks(row["rank_low"], row["rank_high"])}
        lines.append([*(_text(row[n]) for n in names[:6]), shown, *(_text(fields[n]) for n in names[6:])])
    return tabulate(
        lines, [*names[:6], f"{first.name} 95 %", *names[6:]], tablefmt="github", disable_numparse=True
    )


def _ranks(low: Any, high: Any) -> str:
    """Show the ranks that a row can have: `2`, `1-3`, or nothing."""
    if pd.isna(low):
        return ""
    return f"{low}" if low == high else f"{low}-{high}"


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.2f}" if isinstance(value, float) else _safe(str(value))


def _safe(text: str) -> str:
    """Keep names from breaking the table or becoming markup."""
    flat = visible(" ".join(text.split()))
    plain = "".join(_ENTITIES.get(each, f"\\{each}" if each in _MARKUP else each) for each in flat)
    return plain.replace("://", "&#58;//")  # an address would become a link by itself
