"""The averages of the leaderboard: each restorer over the tasks, and over captured images only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from restorebench.contract.tasks import CLEAN
from restorebench.tables import intervals, leaderboard
from restorebench.tables.board import Board, Family
from restorebench.tables.comparisons import Part
from restorebench.tables.leaderboard import AVERAGE, EVERY_DATASET, Row, Standings
from restorebench.tables.scored import ScoredCell
from restorebench.tables.status import Flag, rendered, status, together
from restorebench.toolbox.digests import digest

CAPTURED = "average-captured"


def parts(board: Board, cells: Sequence[ScoredCell]) -> list[Part]:
    """Return one part per average: the tasks of each dataset, and the same for captured images alone.

    If every task has one dataset and there are several datasets, no dataset covers all tasks. One average then
    spans all datasets, and its dataset is `*`.
    """
    entering = [cell for cell in cells if cell.facts.task != CLEAN]
    found = _parts(board, entering, AVERAGE, captured=False)
    kinds = {sample.kind for cell in entering for sample in cell.facts.samples}
    if "captured" in kinds and len(kinds) > 1:
        found += _parts(board, entering, CAPTURED, captured=True)
    return found


def _parts(board: Board, entering: Sequence[ScoredCell], name: str, captured: bool) -> list[Part]:
    split = spread((cell.facts.dataset, cell.facts.task) for cell in entering)
    found: dict[str, dict[str, list[ScoredCell]]] = defaultdict(lambda: defaultdict(list))
    for cell in entering:
        if not captured or any(sample.kind == "captured" for sample in cell.facts.samples):
            found[EVERY_DATASET if split else cell.facts.dataset][cell.facts.name].append(cell)
    present = {cell.facts.task for by_name in found.values() for cells in by_name.values() for cell in cells}
    wanted = tuple(task for task in board.tasks if task in present or not captured)
    return [Part(name, dataset, wanted, by_name, captured) for dataset, by_name in found.items()]


def rows(board: Board, averages: Sequence[Part], standings: Standings) -> list[Row]:
    """Return the average rows of leaderboard.csv."""
    return [
        row | standings.get((part.task, part.dataset, name), {})
        for part in averages
        for name, row in _rows(board, part)
    ]


def _rows(board: Board, part: Part) -> Iterator[tuple[str, Row]]:
    every = [cell for cells in part.cells.values() for cell in cells]
    sound = {column.name: leaderboard.comparable(every, column.name, part.captured) for column in board.columns}
    for name, cells in part.cells.items():
        yield name, _average_row(board, cells, part, sound)


def spread(pairs: Iterable[tuple[str, str]]) -> bool:
    """Return whether, in (dataset, task) pairs, every task has one dataset and there are several datasets."""
    distinct = set(pairs)
    datasets, tasks = {dataset for dataset, _ in distinct}, {task for _, task in distinct}
    return len(datasets) > 1 and len(tasks) == len(distinct)


def _average_row(
    board: Board,
    group: Sequence[ScoredCell],
    part: Part,
    sound: Mapping[str, set[str]],
) -> Row:
    """Average one restorer over the wanted tasks; the numbers stay blank if a task is missing or incomplete."""
    row = _average_facts(board, group, part)
    present = {cell.facts.task for cell in group}
    incomplete = [cell.facts.task for cell in group if not cell.complete]
    lacking = dict.fromkeys([*(task for task in part.tasks if task not in present), *incomplete])
    of_tasks = f"{len(part.tasks)} of {board.tasks_in_suite or len(board.tasks)} tasks"
    told = status(Flag.SHARE, of_tasks if part.captured else board.share, *(cell.facts.share for cell in group))
    if lacking:
        told += status(Flag.INCOMPLETE, f"incomplete: {', '.join(lacking)}")
        seen = any(cell.facts.family is Family.YARDSTICK for cell in group)
        told += status(Flag.YARDSTICK, "yardstick" if seen else "")
        return row | rendered(told)
    _put_means(board, row, group, sound, part.captured)
    return row | rendered(told + together(leaderboard.status_of(board, cell) for cell in group))


def _average_facts(board: Board, group: Sequence[ScoredCell], part: Part) -> Row:
    chosen = [cell.captured if part.captured else np.ones(len(cell.facts.samples), dtype=bool) for cell in group]
    scenes = {
        cell.facts.samples[n].scene for cell, kept in zip(group, chosen, strict=True) for n in np.flatnonzero(kept)
    }
    return leaderboard.identity(board, group[0].facts) | {
        "task": part.task,
        "dataset": part.dataset,
        "n_images": int(sum(kept.sum() for kept in chosen)),
        "n_scenes": len(scenes),
        "failed": int(sum((cell.broken & kept).sum() for cell, kept in zip(group, chosen, strict=True))),
        "digest": digest(part.task, [cell.facts.row_digest for cell in group]),
    }


def _put_means(
    board: Board, row: Row, group: Sequence[ScoredCell], sound: Mapping[str, set[str]], captured: bool
) -> None:
    """Put the unweighted mean of task means, with a joint interval, into columns that all tasks have in full."""
    for column in board.columns:
        tasks = [cell.scored(column.name, captured) for cell in group]
        if all(len(values) for values, _ in tasks) and all(cell.key in sound[column.name] for cell in group):
            row[column.name] = sum(sum(values.tolist()) / len(values) for values, _ in tasks) / len(tasks)
            leaderboard.put_interval(row, column.name, intervals.average_interval(tasks))
