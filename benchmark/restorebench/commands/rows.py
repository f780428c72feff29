"""Which rows `compare` puts side by side: of one board, or of two runs on what both have."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.tables.board import Board, Column, Family
from restorebench.tables.reading import PublishedRun
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox.counts import counted

Chosen = tuple[Board, Sequence[ScoredCell], tuple[str, ...], tuple[str, str]]
"""A board, its cells, notes, and the names of the two rows on it."""


def common_column(first: PublishedRun, second: PublishedRun, metric: str | None) -> Column:
    """Return the column to compare by: one that both runs have, with the same code behind it."""
    try:
        column = first.board.column(metric)
    except UnknownName as error:
        raise UnknownName(f"{first.folder} has {error}") from error
    name = column.name
    if first.digests.get(name) != second.digests.get(name):
        what = "was computed by other code" if name in second.digests else "is not there"
        raise RestorebenchError(f"{name} {what} in {second.folder}: the scores of the two runs cannot be compared")
    return column


def _named(run: PublishedRun, name: str) -> list[ScoredCell]:
    """Return the cells of a row.

    Raises:
        UnknownName: the run has no such row.
    """
    found = [cell for cell in run.cells if cell.facts.name == name]
    if not found:
        known = list(dict.fromkeys(cell.facts.name for cell in run.cells))
        raise UnknownName(f"{run.folder} has no row {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return found


def in_one_run(run: PublishedRun, a: str, b: str) -> Chosen:
    """Take the whole board where both rows are of one family, else the two rows as a family of their own."""
    one, other = _named(run, a), _named(run, b)
    if a == b:
        raise RestorebenchError(f"{a!r} is compared with itself; name two rows, or a second run")
    families = {one[0].facts.family, other[0].facts.family}
    if len(families) == 1:
        return run.board, run.cells, (), (a, b)
    note = f"{a} is {one[0].facts.family} and {b} is {other[0].facts.family}: the two are a family of their own"
    cells = [_alone(cell, cell.facts.name) for cell in run.cells if cell.facts.name in (a, b)]
    return run.board, cells, (note,), (a, b)


def of_two_runs(first: PublishedRun, second: PublishedRun, a: str, b: str) -> Chosen:
    """Put a row of each run side by side, on the tasks and images that both have.

    Raises:
        RestorebenchError: there are none.
    """
    names = (a, b) if a != b else (f"{a} ({first.folder})", f"{b} ({second.folder})")
    notes = [f"two runs: {first.folder} and {second.folder}; the two rows are a family of their own"]
    others = {(cell.facts.dataset, cell.facts.task): cell for cell in _named(second, b)}
    cells: list[ScoredCell] = []
    for cell in _named(first, a):
        key = (cell.facts.dataset, cell.facts.task)
        if key not in others:
            notes.append(f"{key[1]} of {key[0]} is left out: {names[1]} has no row there")
            continue
        if first.data[f"{key[0]}/{key[1]}"] != second.data[f"{key[0]}/{key[1]}"]:
            notes.append(f"{key[1]} of {key[0]} is left out: the two runs have other images there")
            continue
        other = others[key]
        shared = {sample.id for sample in cell.facts.samples} & {sample.id for sample in other.facts.samples}
        if len(shared) < max(len(cell.facts.samples), len(other.facts.samples)):
            compared = counted(len(shared), "image that both runs have is", "images that both runs have are")
            notes.append(f"{key[1]} of {key[0]}: only the {compared} compared")
        cells += [_alone(cell, names[0], shared), _alone(other, names[1], shared)]
    held = {(cell.facts.dataset, cell.facts.task) for cell in _named(first, a)}
    notes += [
        f"{key[1]} of {key[0]} is left out: {names[0]} has no row there" for key in others if key not in held
    ]
    if not cells:
        raise RestorebenchError("the two runs have no task with the same images: " + "; ".join(notes[1:]))
    common = {cell.facts.task for cell in cells}
    board = replace(first.board, tasks=tuple(task for task in first.board.tasks if task in common))
    return board, cells, tuple(notes), names


def _alone(cell: ScoredCell, name: str, shared: Set[str] | None = None) -> ScoredCell:
    """Make a cell a row of a family of two. shared: the samples to keep; None keeps all."""
    facts = cell.facts
    kept = tuple(sample for sample in facts.samples if shared is None or sample.id in shared)
    moved = replace(
        facts,
        restorer=name,
        tell="nothing",
        family=Family.BLIND,
        samples=kept,
        row_digest=f"{name} {facts.row_digest}",  # the same row of two runs is two rows here
    )
    return cell.alone(moved, np.array([shared is None or sample.id in shared for sample in facts.samples]))
