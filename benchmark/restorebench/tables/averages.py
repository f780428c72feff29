"""The averages of the leaderboard: each restorer over the tasks, and over captured images only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from restorebench.contract.tasks import CLEAN
from restorebench.records import OK
from restorebench.tables import intervals, leaderboard
from restorebench.tables.board import Board
from restorebench.tables.leaderboard import AVERAGE, Row, ScoredCell
from restorebench.tables.status import Flag, rendered, status, together
from restorebench.toolbox.digests import digest

CAPTURED = "average-captured"
EVERY_DATASET = "*"
"""The value in the column `dataset` for an average over tasks from several datasets."""


def rows(board: Board, cells: Sequence[ScoredCell]) -> list[Row]:
    """Return the average rows of leaderboard.csv; also of captured images if there are images of other kinds."""
    averages = _averages(board, cells, captured=False)
    kinds = {sample.kind for cell in cells if cell.facts.task != CLEAN for sample in cell.facts.samples}
    if "captured" in kinds and len(kinds) > 1:
        averages += _averages(board, cells, captured=True)
    return averages


def spread(pairs: Iterable[tuple[str, str]]) -> bool:
    """Return whether, in (dataset, task) pairs, every task has one dataset and there are several datasets."""
    distinct = set(pairs)
    datasets, tasks = {dataset for dataset, _ in distinct}, {task for _, task in distinct}
    return len(datasets) > 1 and len(tasks) == len(distinct)


def _averages(board: Board, cells: Sequence[ScoredCell], captured: bool) -> list[Row]:
    """Average each restorer over tasks, one row per dataset. captured: average only captured images.

    If every task has one dataset and there are several datasets, no dataset covers all tasks. One row then spans
    all datasets, and its dataset is `*`.
    """
    entering = [cell for cell in cells if cell.facts.task != CLEAN]
    tasks = set(board.tasks)
    if captured:
        tasks = {c.facts.task for c in entering if any(s.kind == "captured" for s in c.facts.samples)}
    split = spread((cell.facts.dataset, cell.facts.task) for cell in entering)
    groups: dict[tuple[str, str, str], list[ScoredCell]] = defaultdict(list)
    for cell in entering:
        dataset = EVERY_DATASET if split else cell.facts.dataset
        group = groups[dataset, cell.facts.restorer, cell.facts.tell]
        if cell.facts.task in tasks:
            group.append(cell)
    wanted = [task for task in board.tasks if task in tasks]
    known: dict[str, Mapping[str, float]] = {
        "gain": leaderboard.gains(board, entering, captured),
        "rank": leaderboard.ranks(board, entering, captured),
    }
    sound = {column.name: leaderboard.comparable(entering, column.name, captured) for column in board.columns}
    return [
        _average_row(board, group, dataset, wanted, known, sound, captured)
        for (dataset, _, _), group in groups.items()
        if group
    ]


def _average_row(
    board: Board,
    group: Sequence[ScoredCell],
    dataset: str,
    tasks: Sequence[str],
    known: Mapping[str, Mapping[str, float]],
    sound: Mapping[str, set[str]],
    captured: bool,
) -> Row:
    """Average one restorer over the wanted tasks; the numbers stay blank if a task is missing or incomplete."""
    row = _average_facts(board, group, dataset, captured)
    present = {cell.facts.task for cell in group}
    incomplete = [cell.facts.task for cell in group if not cell.complete]
    lacking = dict.fromkeys([*(task for task in tasks if task not in present), *incomplete])
    of_tasks = f"{len(tasks)} of {board.tasks_in_suite or len(board.tasks)} tasks"
    told = status(Flag.SHARE, of_tasks if captured else board.share, *(cell.facts.share for cell in group))
    if lacking:
        told += status(Flag.INCOMPLETE, f"incomplete: {', '.join(lacking)}")
        told += status(Flag.YARDSTICK, "yardstick" if any(cell.facts.yardstick for cell in group) else "")
        return row | rendered(told)
    _put_means(board, row, group, sound, captured)
    for name, by_cell in known.items():
        if all(cell.key in by_cell for cell in group):
            row[name] = sum(by_cell[cell.key] for cell in group) / len(group)
    return row | rendered(told + together(leaderboard.status_of(board, cell) for cell in group))


def _average_facts(board: Board, group: Sequence[ScoredCell], dataset: str, captured: bool) -> Row:
    name = CAPTURED if captured else AVERAGE
    chosen = [
        {sample.id: sample.scene for sample in cell.facts.samples if not captured or sample.kind == "captured"}
        for cell in group
    ]
    broken = [{r.sample for r in cell.records if r.status != OK} for cell in group]
    return leaderboard.identity(board, group[0].facts) | {
        "task": name,
        "dataset": dataset,
        "n_images": sum(len(scenes) for scenes in chosen),
        "n_scenes": len({scene for scenes in chosen for scene in scenes.values()}),
        "failed": sum(len(bad & set(scenes)) for bad, scenes in zip(broken, chosen, strict=True)),
        "digest": digest(name, [cell.facts.row_digest for cell in group]),
    }


def _put_means(
    board: Board, row: Row, group: Sequence[ScoredCell], sound: Mapping[str, set[str]], captured: bool
) -> None:
    """Put the unweighted mean of task means, with a joint interval, into columns that all tasks have in full."""
    for column in board.columns:
        tasks = [cell.scored(column.name, captured) for cell in group]
        if all(values for values, _ in tasks) and all(cell.key in sound[column.name] for cell in group):
            row[column.name] = sum(sum(values) / len(values) for values, _ in tasks) / len(tasks)
            seed = intervals.seed_from(digest(row["digest"], column.name))
            leaderboard.put_interval(row, column.name, intervals.average_interval(tasks, seed))
