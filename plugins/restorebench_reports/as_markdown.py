"""The report `markdown`: the leaderboard as a Markdown page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
        board = tables.board
        parts = [f"# {board.suite} (version {board.version})"]
        for column in board.columns:
            parts += [f"## {column.name}", _matrix(tables.leaderboard, column)]
        parts.append(
            "**Bold** is the best value of a task as printed, and no claim that the difference is real: see"
            " the intervals below. `!` marks an incomplete row, *italics* a yardstick, which saw the ground truth."
        )
        parts += ["## Rows", _rows(tables.leaderboard, board.columns)]
        path = folder / "leaderboard.md"
        atomic_write_text(path, "\n\n".join(parts) + "\n")
        return [path]


def _matrix(frame: Any, column: Any) -> str:
    """Return the table of one metric: a row per restorer, a column per task; yardsticks in italics, never bold."""
    tasks = list(dict.fromkeys(zip(frame.task, frame.dataset, strict=True)))
    keys = list(dict.fromkeys(zip(frame.restorer, frame.tell, strict=True)))
    rows = {(r["task"], r["dataset"], r["restorer"], r["tell"]): r for _, r in frame.iterrows()}
    best = {task: _best([rows.get((*task, *key)) for key in keys], column) for task in tasks}
    lines = []
    for name, tell in keys:
        found = [rows.get((*task, name, tell)) for task in tasks]
        title = _safe(name if tell == "nothing" else f"{name} [{tell}]")
        if any(_is_yardstick(row) for row in found if row is not None):
            title = f"*{title}*"
        lines.append([title, *(_cell(row, best[task], column) for row, task in zip(found, tasks, strict=True))])
    many = len({dataset for _, dataset in tasks}) > 1
    titles = [_safe(f"{task} ({dataset})" if many else task) for task, dataset in tasks]
    return tabulate(lines, ["restorer", *titles], tablefmt="github", disable_numparse=True)


def _best(rows: list[Any], column: Any) -> float | None:
    """Return the best value among complete competitors, rounded as it is printed; None if there is none."""
    if not column.ranks:
        return None
    known = [row[column.name] for row in rows if row is not None and _competes(row)]
    known = [round(value, column.decimals) for value in known if value is not None and value == value]
    if not known:
        return None
    return max(known) if column.higher_is_better else min(known)


def _is_yardstick(row: Any) -> bool:
    return bool(row["yardstick"])


def _competes(row: Any) -> bool:
    return not _is_yardstick(row) and not row["incomplete"]


def _cell(row: Any, best: float | None, column: Any) -> str:
    if row is None or row[column.name] is None or row[column.name] != row[column.name]:
        return "-"
    text = f"{row[column.name]:.{column.decimals}f}"
    mark = "!" if row["incomplete"] else ""
    bold = _competes(row) and round(row[column.name], column.decimals) == best
    return f"**{text}**" if bold else text + mark


def _rows(frame: Any, columns: Any) -> str:
    names = ["task", "dataset", "restorer", "tell", "n_images", "n_scenes", "gain", "rank", "status"]
    first = next((column for column in columns if column.ranks), columns[0])
    lines = []
    for _, row in frame.iterrows():
        low, high = row[f"{first.name}_low"], row[f"{first.name}_high"]
        interval = "" if low is None or low != low else f"{low:.{first.decimals}f} to {high:.{first.decimals}f}"
        lines.append([*(_text(row[name]) for name in names[:6]), interval, *(_text(row[n]) for n in names[6:])])
    return tabulate(
        lines, [*names[:6], f"{first.name} 95 %", *names[6:]], tablefmt="github", disable_numparse=True
    )


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else _safe(str(value))


def _safe(text: str) -> str:
    """Keep names from breaking the table or becoming markup."""
    flat = visible(" ".join(text.split()))
    plain = "".join(_ENTITIES.get(each, f"\\{each}" if each in _MARKUP else each) for each in flat)
    return plain.replace("://", "&#58;//")  # an address would become a link by itself
