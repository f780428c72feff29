"""Published figures of methods, and whether a published folder has the row that each of them is about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from restorebench.contract.errors import RestorebenchError
from restorebench.contract.tasks import CLEAN
from restorebench.publishing.folder import PublishedFolder, read_published
from restorebench.publishing.layout import MANIFEST
from restorebench.tables import intervals
from restorebench.tables.leaderboard import AVERAGE
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox.counts import counted

READ, SECOND_HAND, MEMORY = "read", "second-hand", "memory"
EVERY = "*"
"""The label of a claim about the mean over all data of a row, task by task."""


@dataclass(frozen=True)
class Claim:
    """One published figure, a line of claims.csv.

    protocol: in words, as far as it is known. paper, table: where it is. how: `read` in the source itself,
    `second-hand` in another one that quotes it, or from `memory`; only a figure that was read counts as published.
    images: how many the set has. The rest says which row here it is about: the suite, the label of its data, the
    restorer with its `weights` option, and the column; the last three are empty where there can be no such row.
    needs: what it takes to run it.
    """

    method: str
    task: str
    dataset: str
    metric: str
    protocol: str
    value: float | None
    paper: str
    table: str
    how: str
    images: int | None
    suite: str
    label: str
    restorer: str
    weights: str
    column: str
    needs: str

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that make the row; none if nothing can."""
        if not (self.restorer and self.column):
            return ()
        of_a_file = f"--set 'restorers=[{{name: {self.restorer}, options: {{weights: FILE}}}}]'"
        added = f"--add {self.restorer}" if self.weights else of_a_file
        return (
            f"restorebench run {self.suite} --data DIR {added}",
            f"restorebench publish runs/{self.suite} --to mine",
            f"restorebench results add mine/{self.suite}/*",
        )


@dataclass(frozen=True)
class Executed:
    """The row that a claim is about, as it was executed. low, high: of the 95 % interval of its value here.

    difference: from a figure that was read; None for others, which are no published figures.
    """

    folder: Path
    row: str
    value: float
    low: float | None
    high: float | None
    difference: float | None


@dataclass(frozen=True)
class NotRun:
    """A claim that no published folder has a row of. why: what was looked for and not found."""

    why: str


State = Executed | NotRun


def read_claims(path: Path) -> list[Claim]:
    """Read a file of claims.

    Raises:
        RestorebenchError: it cannot be read, or a line of it is wrong; names the line and the column.
    """
    names = [field.name for field in fields(Claim)]
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True)
        if (reader.fieldnames or []) != names:
            raise RestorebenchError(f"{path}:1: its columns are not {', '.join(names)}")
        claims = [_claim(f"{path}:{reader.line_num}", line) for line in reader]
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise RestorebenchError(f"{path} cannot be read ({why}); give the folder of a claims.csv") from error
    seen: set[tuple[str, ...]] = set()
    for number, claim in enumerate(claims, 2):
        key = claim.method, claim.task, claim.dataset, claim.metric, claim.paper
        if key in seen:
            raise RestorebenchError(f"{path}: claim {number - 1} is one that {claim.paper} is named for already")
        seen.add(key)
    return claims


def _claim(where: str, line: Mapping[str, str | None]) -> Claim:
    texts = {name: text for name, text in line.items() if isinstance(name, str) and isinstance(text, str)}
    if len(texts) != len(fields(Claim)) or len(line) != len(texts):
        raise RestorebenchError(f"{where}: has another number of cells than the first line")
    value = _number(where, "value", texts["value"], float)
    images = _number(where, "images", texts["images"], int)
    claim = Claim(**{**texts, "value": value, "images": images})
    for name in ("method", "paper", "needs"):
        if not texts[name]:
            raise RestorebenchError(f"{where}: {name} is empty")
    if value is None:
        if claim.how:
            raise RestorebenchError(
                f"{where}: value is empty, and how is {claim.how!r}; leave both empty or neither"
            )
        return claim
    if claim.how not in (READ, SECOND_HAND, MEMORY):
        raise RestorebenchError(f"{where}: how is {claim.how!r}, not one of {READ}, {SECOND_HAND}, {MEMORY}")
    for name in ("task", "dataset", "metric", "table"):
        if not texts[name]:
            raise RestorebenchError(f"{where}: {name} is empty; a figure needs its place in its source")
    if claim.column and not (claim.suite and claim.label and claim.column.partition("@")[0] == claim.metric):
        raise RestorebenchError(f"{where}: column {claim.column} is not of its metric, or suite or label is empty")
    if claim.column and (claim.label == EVERY) != (claim.task == AVERAGE):
        raise RestorebenchError(f"{where}: an average has the label {EVERY}, and nothing else has it")
    return claim


def _number(where: str, name: str, text: str, kind: type[Any]) -> Any:
    try:
        found = kind(text) if text else None
    except ValueError:
        found = float("nan")
    if found is not None and not 0 <= found < float("inf"):
        raise RestorebenchError(f"{where}: {name} is {text!r}, not a number")
    return found


def boards_below(results: Path) -> Iterator[PublishedFolder]:
    """Read every published folder of `RESULTS/SUITE/VERSION`.

    Raises:
        PublishedFolderError: one of them is damaged.
    """
    for path in sorted(results.glob(f"[!.]*/[!.]*/{MANIFEST}")):
        yield read_published(path.parent)


def states(claims: Sequence[Claim], boards: Sequence[PublishedFolder]) -> list[State]:
    """Return what is known here of each claim. The highest version of a suite that has a row counts."""
    return [_state(claim, [board for board in boards if board.board.suite == claim.suite]) for claim in claims]


def _state(claim: Claim, boards: Sequence[PublishedFolder]) -> State:
    if claim.value is None or not claim.column or not claim.restorer:
        return NotRun("")
    why = f"no published folder of {claim.suite}"
    for board in sorted(boards, key=lambda board: _order(board.board.version), reverse=True):
        found = _found(claim, board)
        if isinstance(found, Executed):
            return found
        why = found.why
    return NotRun(why)


def _order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (-1, version)


def _found(claim: Claim, board: PublishedFolder) -> State:
    """Look for the row of a claim on a board."""
    rows = _rows(claim, board)
    if not rows:
        with_weights = f" with weights {claim.weights}" if claim.weights else ""
        return NotRun(f"{board.path} has no row of {claim.restorer}{with_weights}")
    for row in rows:
        cells = [cell for cell in board.cells if cell.facts.name == row and _is_of(claim, cell)]
        scored = [cell.scored(claim.column) for cell in cells]
        images = sum(len(values) for values, _ in scored)
        if not cells or not images:
            why = f"row {row} of {board.path} has no {claim.column} on {claim.label}"
        elif claim.images is not None and images != claim.images:
            why = f"row {row} of {board.path} has {images} of the {counted(claim.images, 'image')}"
        else:
            value = sum(float(values.mean()) for values, _ in scored) / len(scored)
            low, high = intervals.average_interval(scored) or (None, None)
            published = claim.value if claim.how == READ else None
            return Executed(board.path, row, value, low, high, None if published is None else value - published)
    return NotRun(why)


def _rows(claim: Claim, board: PublishedFolder) -> list[str]:
    """Name the rows of a board that run the restorer of a claim with its weights, told nothing."""
    labels = {
        cell["restorer"]
        for cell in board.manifest["cells"]
        if cell["name"] == claim.restorer
        and cell["tell"] == "nothing"
        and claim.weights in ("", cell["options"].get("weights"))
    }
    names = dict.fromkeys(cell.name for cell in board.board.cells if cell.tell == "nothing")
    return [name for name in names if name in labels]


def _is_of(claim: Claim, cell: ScoredCell) -> bool:
    if claim.label == EVERY:
        return cell.facts.task != CLEAN
    return (cell.facts.dataset, cell.facts.task) == (claim.label, claim.task)
