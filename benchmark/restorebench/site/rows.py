"""The rows of a board page, and what its script needs to sort and filter them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from restorebench.contract.tasks import CLEAN
from restorebench.journal.layout import safe_name
from restorebench.records import row_name
from restorebench.site.boards import SiteBoard
from restorebench.site.names import method_link
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Board, Column
from restorebench.tables.build import Tables
from restorebench.tables.leaderboard import AVERAGE


@dataclass(frozen=True)
class Place:
    """A task of a dataset, or an average. captured: whether all its images are."""

    number: int
    task: str
    dataset: str
    label: str
    captured: bool


@dataclass(frozen=True)
class Score:
    """A mean by one column with the ends of its interval. best: whether no row was shown to be better."""

    value: float
    low: float | None
    high: float | None
    best: bool
    letters: str


@dataclass(frozen=True)
class Row:
    """A row of the table. scores: by column, in order; None where there is none. notes: numbers of footnotes."""

    anchor: str
    restorer: str
    tell: str
    family: str
    place: Place
    method: str
    scores: tuple[Score | None, ...]
    gain: tuple[float, float | None, float | None] | None
    harm: float | None
    images: int
    scenes: int
    notes: tuple[int, ...]

    @property
    def name(self) -> str:
        return row_name(self.restorer, self.tell)


@dataclass(frozen=True)
class Table:
    """The rows of a board. first: the place that is shown first, None without rows. notes: the footnotes."""

    columns: tuple[Column, ...]
    places: tuple[Place, ...]
    first: Place | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def captured(self) -> bool:
        """Whether images of some places were captured."""
        return any(place.captured for place in self.places)

    def payload(self) -> dict[str, Any]:
        """Return what the script reads: the columns, and the scores of each row by its anchor."""
        columns = [
            {"name": c.name, "unit": c.unit, "decimals": c.decimals, "higher": c.higher_is_better}
            for c in self.columns
        ]
        return {
            "columns": columns,
            "rows": {row.anchor: [_packed(score) for score in row.scores] for row in self.rows},
        }


def _packed(score: Score | None) -> list[Any] | None:
    if score is None:
        return None
    return [*map(json_number, (score.value, score.low, score.high)), int(score.best), score.letters]


def table_of(board: SiteBoard) -> Table:
    """Lay the leaderboard of a board out: averages first, then tasks in the board's order."""
    tables = board.tables
    columns = tuple(column for column in tables.board.columns if not column.unavailable)
    columns = tuple(sorted(columns, key=lambda column: not column.ranks))
    lines = tables.leaderboard.to_dict("records")
    places = _places(tables, lines)
    notes: dict[str, int] = {}
    anchors: set[str] = set()
    marks = _Marks(tables, columns)
    plugins = {cell.name: cell.plugin for cell in tables.board.cells}
    by_place: dict[int, list[Row]] = {place.number: [] for place in places.values()}
    for line in lines:
        place = places[line["task"], line["dataset"]]
        anchor = _anchor(str(line["digest"]), anchors)
        by_place[place.number].append(_row(line, anchor, place, marks, plugins, notes))
    ordered = tuple(row for rows in by_place.values() for row in rows)
    return Table(columns, tuple(places.values()), next(iter(places.values()), None), ordered, tuple(notes))


def _anchor(digest: str, taken: set[str]) -> str:
    """Return the id of a row in its page. Rows of the same restorer under two labels have the same digest."""
    wanted = f"row-{safe_name(digest)}"
    number = next(n for n in count(1) if (wanted if n == 1 else f"{wanted}-{n}") not in taken)
    anchor = wanted if number == 1 else f"{wanted}-{number}"
    taken.add(anchor)
    return anchor


def _places(tables: Tables, lines: Sequence[Mapping[Any, Any]]) -> dict[tuple[str, str], Place]:
    keys = dict.fromkeys((line["task"], line["dataset"]) for line in lines)
    several = len({dataset for _, dataset in keys}) > 1
    captured = _captured(tables.board)
    averages_first = sorted(keys, key=lambda key: key[0] not in (AVERAGE, CAPTURED))
    return {
        (task, dataset): Place(
            number, task, dataset, place_label(task, dataset, several), (task, dataset) in captured
        )
        for number, (task, dataset) in enumerate(averages_first)
    }


def place_label(task: str, dataset: str, several: bool) -> str:
    """Name a place for readers. several: whether the board has several datasets."""
    words = {AVERAGE: "Average", CAPTURED: "Average, captured images only", CLEAN: "clean inputs"}
    where = "all datasets" if dataset == "*" else dataset
    return f"{words.get(task, task)} ({where})" if several else words.get(task, task)


def _captured(board: Board) -> set[tuple[str, str]]:
    """Return the tasks and datasets whose images were all captured, and the averages of such."""
    found = {
        (cell.task, cell.dataset)
        for cell in board.cells
        if cell.samples and all(sample.kind == "captured" for sample in cell.samples)
    }
    datasets = {cell.dataset for cell in board.cells} | {"*"}
    return found | {(CAPTURED, dataset) for dataset in datasets}


class _Marks:
    """The best rows and the letters of a board, looked up once for each place and column."""

    def __init__(self, tables: Tables, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._compared = tables.compared
        self._known: dict[tuple[str, str, str], tuple[set[str], dict[str, str]]] = {}

    def of(self, place: Place, column: str) -> tuple[set[str], dict[str, str]]:
        """Return the names of the best rows, and the letters by name."""
        where = (place.task, place.dataset, column)
        if where not in self._known:
            self._known[where] = (self._compared.best(*where), self._compared.letters(*where))
        return self._known[where]


def _row(
    line: Mapping[Any, Any],
    anchor: str,
    place: Place,
    marks: _Marks,
    plugins: Mapping[str, str],
    notes: dict[str, int],
) -> Row:
    name = row_name(line["restorer"], line["tell"])
    told = [text for text in str(line["status"]).split("; ") if text != "ok"]
    gain = number(line["gain"])
    return Row(
        anchor=anchor,
        restorer=line["restorer"],
        tell=line["tell"],
        family=line["family"],
        place=place,
        method=method_link(plugins[name]),
        scores=tuple(_score(line, column.name, name, *marks.of(place, column.name)) for column in marks.columns),
        gain=None if gain is None else (gain, number(line["gain_low"]), number(line["gain_high"])),
        harm=number(line["harm_rate"]),
        images=int(line["n_images"]),
        scenes=int(line["n_scenes"]),
        notes=tuple(notes.setdefault(text, len(notes) + 1) for text in told),
    )


def _score(
    line: Mapping[Any, Any], column: str, name: str, best: set[str], letters: Mapping[str, str]
) -> Score | None:
    value = number(line[column])
    if value is None:
        return None
    low, high = number(line[f"{column}_low"]), number(line[f"{column}_high"])
    return Score(value, low, high, name in best, letters.get(name, ""))


def json_number(value: float | None) -> float | str | None:
    """Return a number for JSON; infinity, which JSON lacks, as a text that JavaScript turns into a number."""
    if value is None or np.isnan(value):
        return None
    return value if np.isfinite(value) else str(value).replace("inf", "Infinity")


def number(value: Any) -> float | None:
    """Return a cell of a table as a number, or None where it is blank."""
    return None if value is None or value != value or str(value) == "<NA>" else float(value)
