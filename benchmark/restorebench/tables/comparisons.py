"""Which rows of a board differ: every pair of a family on every task and average, by every column that ranks.

A family is what is compared with one error rate: the blind rows, the rows that were told the task, the yardsticks;
and, beside these, every row of one of them against identity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from restorebench.contract.tasks import CLEAN
from restorebench.tables import bootstrap, leaderboard, pairwise, tidy
from restorebench.tables.board import Board, Column, Family
from restorebench.tables.bootstrap import Array
from restorebench.tables.families import Contest, Scores, Verdict, verdicts
from restorebench.tables.scored import ScoredCell
from restorebench.tables.tidy import PAIR_COLUMNS, pair_rows

PROCEDURE = {
    "method": "studentised bootstrap of the greatest statistic over all pairs of a family, stepping down",
    "unit": "scene",
    "level": pairwise.LEVEL,
    "draws": bootstrap.DRAWS,
    "fewest_scenes": pairwise.MIN_SCENES,
}
"""How the rows were compared, for the manifest."""


class Where(NamedTuple):
    """What the rows of one comparison have in common. task: a task or an average, as the table names it.

    against_identity: whether each row is compared with identity alone.
    """

    family: Family
    against_identity: bool
    task: str
    dataset: str
    column: str


@dataclass(frozen=True)
class Part:
    """What is compared together: the cells of one task, or those of all the tasks of an average.

    task, dataset: as the table names them. tasks: what a row needs to be compared. cells: by the name of the row,
    its cell of each task, in the same order. captured: whether captured images alone count.
    """

    task: str
    dataset: str
    tasks: tuple[str, ...]
    cells: Mapping[str, Sequence[ScoredCell]]
    captured: bool = False


def parts_of(cells: Iterable[ScoredCell]) -> list[Part]:
    """Put the cells of each task of each dataset together; on clean inputs nothing is to be gained."""
    found: dict[tuple[str, str], dict[str, list[ScoredCell]]] = defaultdict(dict)
    for cell in cells:
        if cell.facts.task != CLEAN:
            found[cell.facts.task, cell.facts.dataset][cell.facts.name] = [cell]
    return [Part(task, dataset, (task,), by_name) for (task, dataset), by_name in found.items()]


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a board, in the order of comparisons.csv."""

    board: Board
    found: Mapping[Where, Verdict]

    def best(self, task: str, dataset: str, column: str) -> set[str]:
        """Name the rows that no row of their family was shown to be better than."""
        return {name for verdict in self._of(task, dataset, column) for name in verdict.best}

    def second(self, task: str, dataset: str, column: str) -> set[str]:
        """Name the rows that only the best rows of their family were shown to be better than."""
        return {name for verdict in self._of(task, dataset, column) for name in verdict.second}

    def letters(self, task: str, dataset: str, column: str) -> dict[str, str]:
        """Return the letters of each row, by name; those of different families have nothing in common."""
        return {
            name: text for verdict in self._of(task, dataset, column) for name, text in verdict.letters().items()
        }

    def _of(self, task: str, dataset: str, column: str) -> list[Verdict]:
        """Return the verdicts on a task by a column, one per family that has several rows."""
        found = (self.found.get(Where(family, False, task, dataset, column)) for family in Family)
        return [verdict for verdict in found if verdict is not None]

    def frame(self) -> pd.DataFrame:
        """Lay every pair out for comparisons.csv."""
        adjusted = self.over_tasks()
        rows = [
            {
                "suite": self.board.suite,
                "suite_version": self.board.version,
                "family": f"{where.family} against identity" if where.against_identity else str(where.family),
                "task": where.task,
                "dataset": where.dataset,
                "column": where.column,
                **row,
            }
            for where, verdict in self.found.items()
            for row in pair_rows(verdict, adjusted.get(where))
        ]
        names = ["suite", "suite_version", "family", "task", "dataset", "column", *PAIR_COLUMNS]
        return pd.DataFrame(rows, columns=names).astype({"separated": "boolean"})

    def over_tasks(self) -> dict[Where, Array | None]:
        """Adjust p for the tasks of a board too; averages and clean inputs are no tasks of it."""
        alike: dict[Where, list[Where]] = defaultdict(list)
        for where in self.found:
            if where.task in self.board.tasks:
                alike[where._replace(task="", dataset="")].append(where)
        return {
            where: adjusted
            for group in alike.values()
            for where, adjusted in zip(group, tidy.over_tasks([self.found[w] for w in group]), strict=True)
        }


def compared(board: Board, parts: Iterable[Part]) -> Comparisons:
    """Compare the rows of every part, by every column that ranks and by the column of the gain."""
    gain = leaderboard.gain_column(board)
    columns = [column for column in board.columns if column.ranks or column is gain]
    lineup = Lineup()
    contests = {
        where: found for part in parts for column in columns for where, found in _contests(part, column, lineup)
    }
    return Comparisons(board, dict(zip(contests, verdicts(list(contests.values())), strict=True)))


def _contests(part: Part, column: Column, lineup: Lineup) -> Iterator[tuple[Where, Contest]]:
    """Yield what is compared in a part by a column: each family, and its rows against identity."""
    cells = sound(part, column.name)
    identity = next((name for name, found in cells.items() if leaderboard.is_identity(found[0].facts)), None)
    for family in Family:
        rows = [name for name, found in cells.items() if found[0].facts.family is family]
        if len(rows) > 1:
            yield (
                Where(family, False, part.task, part.dataset, column.name),
                lineup.contest(part, cells, rows, column),
            )
        beside = [*rows, identity] if identity is not None and identity not in rows else rows
        if identity is not None and rows and len(beside) > 1:
            yield (
                Where(family, True, part.task, part.dataset, column.name),
                lineup.contest(part, cells, beside, column, identity),
            )


def sound(part: Part, column: str) -> dict[str, Sequence[ScoredCell]]:
    """Keep the rows that have every score of every task that any row has."""
    every = [cell for cells in part.cells.values() for cell in cells]
    comparable = leaderboard.comparable(every, column, part.captured)
    return {
        name: cells
        for name, cells in part.cells.items()
        if sorted(cell.facts.task for cell in cells) == sorted(part.tasks)
        and all(c.key in comparable and c.tried(column, part.captured).any() for c in cells)
    }


class Lineup:
    """Lines the scores of rows up, once for all contests that need them, so that work on them is done once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Scores] = {}

    def contest(
        self,
        part: Part,
        cells: Mapping[str, Sequence[ScoredCell]],
        names: Sequence[str],
        column: Column,
        reference: str | None = None,
    ) -> Contest:
        """Return the contest of rows by a column. reference: as in `Contest`."""
        of_tasks = zip(*(cells[name] for name in names), strict=True)
        tasks = tuple(self._scores(of_one, names, column.name, part.captured) for of_one in of_tasks)
        return Contest(tasks, column.higher_is_better, reference)

    def _scores(self, cells: Sequence[ScoredCell], names: Sequence[str], column: str, captured: bool) -> Scores:
        key = (column, captured, *names, *(cell.key for cell in cells))
        if key not in self._known:
            tried = cells[0].tried(column, captured)
            scenes = tuple(cells[0].facts.samples[n].scene for n in np.flatnonzero(tried))
            values = np.array([cell.means(column)[tried] for cell in cells])
            self._known[key] = Scores(tuple(names), scenes, values)
        return self._known[key]
