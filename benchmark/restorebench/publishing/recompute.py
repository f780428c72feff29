"""The tables of a published folder, computed again from its records, against those that it holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.layout import MANIFEST
from restorebench.publishing.writing import write_tables
from restorebench.records import row_name
from restorebench.tables.build import tables_of
from restorebench.toolbox.cells import unguarded
from restorebench.toolbox.counts import counted
from restorebench.toolbox.digests import digest

ROUNDING = 2e-6
"""How far two numbers with six decimals may be apart: sums in another order can round to other digits."""
CHANCE = 5e-4
"""How far p and the ends of intervals may be apart: of 9,999 draws, five may change sides by rounding."""
_BY_CHANCE = ("p", "p_board", "low", "high")
_KEYS = (
    *(
        "suite",
        "suite_version",
        "family",
        "task",
        "dataset",
        "sample",
        "repetition",
        "restorer",
        "tell",
        "detector",
    ),
    *("label", "verdict", "column", "kind", "a", "b", "score", "told"),
)
"""Columns that tell the lines of a table apart."""

Row = tuple[str, str, str]
"""Task, dataset and name of a row."""


@dataclass(frozen=True)
class Problem:
    """Something in a published folder that does not fit.

    line, column: where in the file, in words, or empty. said, found: both values. rows: those it concerns; empty
    for all.
    """

    file: str
    line: str
    column: str
    said: str
    found: str
    rows: frozenset[Row] = frozenset()

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.line, self.column) if part)
        return f"{self.file}{f': {where}' if where else ''}: {self._what()}"

    def _what(self) -> str:
        if self.said and self.found:
            return f"says {self.said}, is {self.found}"
        return self.found or f"says {self.said}, which nothing here gives"


@dataclass(frozen=True)
class Recomputed:
    """problems: what differs. greatest: the greatest difference of a number that was let pass."""

    problems: tuple[Problem, ...]
    greatest: float


def recompute(published: PublishedFolder, catalog: Catalog) -> Recomputed:
    """Compute all tables of a published folder again, and compare them with its files, cell by cell."""
    problems = list(_digests(published))
    tables = tables_of(published.board, published.cells, published.detections)
    greatest = 0.0
    with TemporaryDirectory() as folder:
        for file in write_tables(catalog, tables, Path(folder), "csv"):
            differing = _Difference(file.name)
            problems += differing.between(_table(published.path / file.name), _table(file))
            greatest = max(greatest, differing.greatest)
        expected = {file.name for file in Path(folder).iterdir()}
    for name in ("telling.csv", "regret.csv", "detectors.csv", "labels.csv", "confusion.csv"):
        if name not in expected and (published.path / name).exists():
            problems.append(Problem(name, "", "", "", "is a table that the records do not give"))
    return Recomputed(tuple(problems), greatest)


def _digests(published: PublishedFolder) -> Iterator[Problem]:
    """Yield the cells whose digests are not those of what the manifest says of them."""
    columns = published.manifest["columns"]
    said = {
        (cell["dataset"], cell["task"], cell["restorer"], cell["tell"]): cell
        for cell in published.manifest["cells"]
    }
    for cell in published.board.cells:
        row = cell.task, cell.dataset, cell.name
        scored = [[name, columns.get(name)] for name in cell.columns]
        expected = digest(cell.digest, scored, [sample.id for sample in cell.samples])
        if cell.row_digest != expected:
            yield _of_manifest(row, "row_digest", cell.row_digest, expected)
        about = said.get((cell.dataset, cell.task, cell.restorer, cell.tell))
        if about is None or about["digest"] != cell.digest:
            yield _of_manifest(row, "digest", cell.digest, about["digest"] if about else "no such cell")


def _of_manifest(row: Row, column: str, said: str, found: str) -> Problem:
    return Problem(MANIFEST, in_words(row), column, said, found, frozenset({row}))


def in_words(row: Row) -> str:
    """Name a row on one task."""
    return f"{row[2]} on {row[0]} of {row[1]}"


Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _table(path: Path) -> Table:
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise PublishedFolderError(
            f"{path} cannot be read ({why}); it was changed after it was published"
        ) from error
    return (lines[0], lines[1:]) if lines else ((), ())


class _Difference:
    """What differs between two versions of one table. greatest: of the differences that were let pass."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._keys: list[str] = []
        self.greatest = 0.0

    def between(self, said: Table, found: Table) -> Iterator[Problem]:
        if list(said[0]) != list(found[0]):
            yield Problem(self._file, "", "first line", ",".join(said[0]), ",".join(found[0]))
            return
        keys = [number for number, name in enumerate(found[0]) if name in _KEYS]
        self._keys = [found[0][number] for number in keys]
        one, other = _by_key(said[1], keys), _by_key(found[1], keys)
        for key, line in other.items():
            if key not in one:
                yield self._problem(key, "", "", "is missing")
            else:
                yield from self._cells(found[0], key, one[key], line)
        for key in one.keys() - other.keys():
            yield self._problem(key, "", "", "is a line that the records do not give")
        if not (one.keys() ^ other.keys()) and list(one) != list(other):
            yield Problem(self._file, "", "", "", "has its lines in another order")

    def _cells(
        self, names: Sequence[str], key: tuple[str, ...], said: Sequence[str], found: Sequence[str]
    ) -> Iterator[Problem]:
        if len(said) != len(found):
            yield self._problem(key, "", counted(len(said), "cell"), f"{len(found)}")
            return
        for name, one, other in zip(names, said, found, strict=True):
            if one != other and not self._close(name, one, other):
                yield self._problem(key, name, one or "nothing", other or "nothing")

    def _problem(self, key: tuple[str, ...], column: str, said: str, found: str) -> Problem:
        line = " ".join(part for part in key[2:] if part)  # without the suite and its version
        return Problem(self._file, line, column, said, found, self._rows(dict(zip(self._keys, key, strict=False))))

    def _rows(self, key: Mapping[str, str]) -> frozenset[Row]:
        """Return the rows that a line is of: one, the two of a comparison, or none that can be named."""
        names = [key["a"], key["b"]] if "a" in key else []
        if "restorer" in key and "tell" in key:
            names = [row_name(key["restorer"], key["tell"])]
        return frozenset((key.get("task", ""), key.get("dataset", ""), name) for name in names)

    def _close(self, name: str, said: str, found: str) -> bool:
        try:
            one, other = float(said), float(found)
        except ValueError:
            return False
        apart = abs(one - other)
        chance = name in _BY_CHANCE or name.endswith(("_low", "_high"))
        near = apart <= max(CHANCE if chance else ROUNDING, 1e-9 * abs(other))
        if near:
            self.greatest = max(self.greatest, apart)
        return near


def _by_key(lines: Iterable[Sequence[str]], keys: Sequence[int]) -> Mapping[tuple[str, ...], Sequence[str]]:
    """Return lines by what tells them apart; lines with the same key, such as failures, are numbered."""
    found: dict[tuple[str, ...], Sequence[str]] = {}
    for line in lines:
        key = tuple(unguarded(line[number]) for number in keys if number < len(line))
        again = 1
        while key in found:
            again += 1
            key = (*key[: len(keys)], f"line {again}")
        found[key] = line
    return found
