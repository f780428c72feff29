"""What the front page says of a board."""

from __future__ import annotations

import math
from dataclasses import dataclass

from restorebench.contract.tasks import CLEAN
from restorebench.site.boards import SiteBoard
from restorebench.site.lines import Line, lines_of
from restorebench.site.rows import Row, Score, Table
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Column
from restorebench.tables.leaderboard import AVERAGE

MOST_DRAWN = 8
"""How many rows of a board the front page draws."""

FAMILIES = {
    "blind": "told nothing, or what a bundled detector says of the image",
    "told": "told the task, or what another detector says",
    "yardstick": "yardsticks, which saw the clean image and do not compete",
}
"""What the rows of a family know, in the words of the pages."""


@dataclass(frozen=True)
class BestGroup:
    """The rows of a family on a place that no row of it was shown to be better than."""

    family: str
    knows: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Drawn:
    """A row with its score, and where it is on the line of all."""

    row: Row
    score: Score
    line: Line


@dataclass(frozen=True)
class Entry:
    """A board in short. where, best, drawn: of the first place of its table."""

    board: SiteBoard
    description: str
    rows: int
    images: int
    scenes: int
    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    ranking: Column | None
    where: str
    drawn: tuple[Drawn, ...]
    best: tuple[BestGroup, ...]
    failed: int


def entry_of(board: SiteBoard, table: Table) -> Entry:
    """Summarise a board."""
    facts = board.tables.board
    samples = {(cell.dataset, cell.task): cell.samples for cell in facts.cells if cell.task != CLEAN}
    ranking = next((number for number, column in enumerate(table.columns) if column.ranks), None)
    return Entry(
        board,
        board.about.suite.description or "",
        len({cell.name for cell in facts.cells}),
        sum(map(len, samples.values())),
        len({sample.scene for held in samples.values() for sample in held}),
        facts.tasks,
        tuple(column.name for column in table.columns),
        None if ranking is None else table.columns[ranking],
        _where(table),
        () if ranking is None else _drawn(table, ranking)[:MOST_DRAWN],
        () if ranking is None else _best(table, ranking),
        sum(cell.failed for cell in board.folder.cells),
    )


def _where(table: Table) -> str:
    if table.first is None or table.first.task in (AVERAGE, CAPTURED):
        return "on average"
    return f"on {table.first.label}"


def _best(table: Table, column: int) -> tuple[BestGroup, ...]:
    rows = [row for row in table.rows if row.place == table.first and row.scores[column] is not None]
    found = []
    for family, knows in FAMILIES.items():
        best = tuple(r for r in rows if r.family == family and (score := r.scores[column]) and score.best)
        if best:
            found.append(BestGroup(family, knows, best))
    return tuple(found)


def _drawn(table: Table, column: int) -> tuple[Drawn, ...]:
    """Place the rows of the first place on one line: family by family, the best score first."""
    sign, families = -1 if table.columns[column].higher_is_better else 1, list(FAMILIES)
    rows = [
        (row, score)
        for row in table.rows
        if row.place == table.first and (score := row.scores[column]) and math.isfinite(score.value)
    ]
    rows.sort(key=lambda pair: (families.index(pair[0].family), sign * pair[1].value))
    lines, _ = lines_of([(score.value, score.low, score.high) for _, score in rows])
    return tuple(Drawn(row, score, line) for (row, score), line in zip(rows, lines, strict=True))
