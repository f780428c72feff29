"""What the front page says of a board."""

from __future__ import annotations

import math
from dataclasses import dataclass

from restorebench.contract.tasks import CLEAN
from restorebench.site.boards import SiteBoard
from restorebench.site.rows import Row, Score, Table
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Column
from restorebench.tables.leaderboard import AVERAGE

MOST_DRAWN = 8
"""How many rows of a board the front page draws."""
_BEYOND = 0.6  # of the span of the means, on both sides; board.js has the same

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
    """A row with its score and interval, on a line from 0 to 1. cut: whether the interval goes beyond an end."""

    row: Row
    score: Score
    at: float
    low: float
    high: float
    cut: tuple[bool, bool]


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
    if not rows:
        return ()
    start, end = _scale([score for _, score in rows])
    found = []
    for row, score in rows:
        low, high = (score.value if end_ is None else end_ for end_ in (score.low, score.high))
        at, left, right = ((value - start) / (end - start) for value in (score.value, low, high))
        found.append(Drawn(row, score, at, max(left, 0.0), min(right, 1.0), (left < 0, right > 1)))
    return tuple(found)


def _scale(scores: list[Score]) -> tuple[float, float]:
    """Return the ends of the line: what the intervals need, but not much more than the means span."""
    means = [score.value for score in scores]
    span = max(means) - min(means) or abs(means[0]) * 0.05 or 1.0
    lows = [score.value if score.low is None else score.low for score in scores]
    highs = [score.value if score.high is None else score.high for score in scores]
    start, end = max(min(lows), min(means) - _BEYOND * span), min(max(highs), max(means) + _BEYOND * span)
    return (start, end) if end > start else (start - span / 2, end + span / 2)
