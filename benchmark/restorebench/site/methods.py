"""The page of a method: what its card says, and where it wins, loses and does harm on every board."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog
from restorebench.contract.tasks import CLEAN
from restorebench.records import row_name
from restorebench.site.about import Restoring
from restorebench.site.boards import SiteBoard
from restorebench.site.cards import card_of
from restorebench.site.lines import Line, lines_of
from restorebench.site.rows import Row, Table
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Column, Family
from restorebench.tables.comparisons import Where
from restorebench.tables.leaderboard import AVERAGE


@dataclass(frozen=True)
class Standing:
    """A row on one task. behind: the rows of its family that were shown to be better by the ranking column.

    compared: whether it was compared with others at all. line: of its gain, with that of the others.
    """

    row: Row
    line: Line | None
    best: bool
    behind: tuple[str, ...]
    compared: bool


@dataclass(frozen=True)
class OnBoard:
    """A method on one board. column: what ranks. clean: its rows on clean images. setups: as in `_setup`.

    zero: where a gain of zero is on the lines.
    """

    board: SiteBoard
    column: Column | None
    columns: tuple[Column, ...]
    standings: tuple[Standing, ...]
    zero: float | None
    clean: tuple[Row, ...]
    setups: tuple[str, ...]

    @property
    def wins(self) -> list[str]:
        """The tasks in whose best group a row of the method is."""
        return self._tasks(lambda standing: standing.best)

    @property
    def losses(self) -> list[str]:
        """The tasks on which some row was shown to be better than every row of the method that was compared."""
        return [task for task in self._tasks(lambda standing: bool(standing.behind)) if task not in self.wins]

    @property
    def harms(self) -> list[str]:
        """The tasks on which a row of the method is worse than its input on average."""
        return self._tasks(lambda standing: standing.row.gain is not None and standing.row.gain[0] < 0)

    def _tasks(self, chosen: Callable[[Standing], bool]) -> list[str]:
        single = [s for s in self.standings if s.row.place.task not in (AVERAGE, CAPTURED)]
        return list(dict.fromkeys(s.row.place.label for s in single if chosen(s)))


@dataclass(frozen=True)
class Method:
    """A method on all boards. card: None where no plugin here has it. parameters: the counts that were found."""

    name: str
    card: Card | None
    training: tuple[str, ...]
    parameters: tuple[int, ...]
    boards: tuple[OnBoard, ...]

    @property
    def best_in(self) -> int:
        """On how many tasks of all boards it is in a best group."""
        return sum(len(on.wins) for on in self.boards)


def methods_of(boards: Sequence[tuple[SiteBoard, Table]], catalog: Catalog) -> list[Method]:
    """Return every method of the boards, by name."""
    cells = [cell for board, _ in boards for cell in board.tables.board.cells]
    found = []
    for name in sorted({cell.plugin for cell in cells}):
        own = [cell for cell in cells if cell.plugin == name]
        found.append(
            Method(
                name,
                card_of(catalog, "restorer", name),
                tuple(sorted({cell.training for cell in own})),
                tuple(sorted({cell.parameters for cell in own if cell.parameters is not None})),
                tuple(
                    _on_board(board, table, name)
                    for board, table in boards
                    if any(cell.plugin == name for cell in board.tables.board.cells)
                ),
            )
        )
    return found


def _on_board(board: SiteBoard, table: Table, method: str) -> OnBoard:
    names = {cell.name for cell in board.tables.board.cells if cell.plugin == method}
    own = [row for row in table.rows if row.name in names]
    column = next((column for column in table.columns if column.ranks), None)
    ranked = [] if column is None else [row for row in own if row.place.task != CLEAN]
    gaining = [row for row in ranked if row.gain is not None and math.isfinite(row.gain[0])]
    lines, zero = lines_of([row.gain for row in gaining if row.gain is not None], holding=(0.0,))
    by_anchor = {row.anchor: line for row, line in zip(gaining, lines, strict=True)}
    return OnBoard(
        board,
        column,
        table.columns,
        tuple(_standing(board, column, row, by_anchor.get(row.anchor)) for row in ranked if column is not None),
        zero[0] if zero else None,
        tuple(row for row in own if row.place.task == CLEAN),
        tuple(dict.fromkeys(_setup(cell) for cell in board.about.cells if cell.name == method)),
    )


def _standing(board: SiteBoard, column: Column, row: Row, line: Line | None) -> Standing:
    where = Where(Family(row.family), False, row.place.task, row.place.dataset, column.name)
    verdict = board.tables.compared.found.get(where)
    if verdict is None or verdict.compared is None or row.name not in verdict.names:
        return Standing(row, line, False, (), False)
    behind = [verdict.names[first] for first, second in verdict.better if verdict.names[second] == row.name]
    return Standing(row, line, row.name in verdict.best, tuple(behind), True)


def _setup(cell: Restoring) -> str:
    """Describe how a row was made, in one line."""
    options = ", ".join(f"{name}={value!r}" for name, value in cell.options.items())
    name = row_name(cell.restorer, cell.tell)
    return f"{name}: {cell.plugin}, version {cell.version}" + (f", {options}" if options else "")
