"""The leaderboard: a row per cell, then the averages over tasks. No plugin can change this arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from restorebench import statistics
from restorebench.digests import digest
from restorebench.records import OK, Board, CellFacts, Column, Record
from restorebench.tasks import CLEAN

CAP = 100.0
"""What an infinite PSNR counts as in a mean, in dB; a finite one above it too, or it would beat a perfect one."""
AVERAGE = "average"
CAPTURED = "average-captured"
EVERY_DATASET = "*"
"""The dataset of an average over tasks that come from several datasets."""
_RANK_DECIMALS = 6  # ranks compare what the CSV prints

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A cell with what was found of it: per column, one value per scored sample with its scene.

    values: column -> sample -> mean over repetitions. capped: whether a value in them counts as CAP.
    """

    facts: CellFacts
    records: tuple[Record, ...]
    values: Mapping[str, Mapping[str, float]]
    capped: bool

    @property
    def complete(self) -> bool:
        return not self.facts.skipped and self.failed == 0 and self.missing == 0

    @property
    def failed(self) -> int:
        return len({record.sample for record in self.records if record.status != OK})

    @property
    def missing(self) -> int:
        expected = len(self.facts.samples) * self.facts.repetitions
        return expected - len(self.records)

    def scored(self, column: str, captured: bool = False) -> tuple[list[float], list[str]]:
        """Return the values of a column and their scenes, of all samples or of the captured ones."""
        found = self.values.get(column, {})
        chosen = [s for s in self.facts.samples if s.id in found and (not captured or s.kind == "captured")]
        return [found[s.id] for s in chosen], [s.scene for s in chosen]

    def mean(self, column: str, captured: bool = False) -> float | None:
        """Return the mean over samples; None where there is no value."""
        values, _ = self.scored(column, captured)
        return sum(values) / len(values) if values else None


def gather(facts: CellFacts, held: Mapping[tuple[str, int], Record], decibels: set[str]) -> Cell:
    """Gather the records a cell wants, by sample and repetition. decibels: the columns to cap."""
    wanted = [(sample.id, repetition) for sample in facts.samples for repetition in range(facts.repetitions)]
    found = tuple(held[key] for key in wanted if key in held)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    capped = False
    for record in found:
        for column, value in record.scores.items():
            if record.status == OK and value is not None:
                over = column in decibels and value > CAP
                capped = capped or over
                values[column][record.sample].append(CAP if over else value)
    means = {
        column: {sample: sum(several) / len(several) for sample, several in by_sample.items()}
        for column, by_sample in values.items()
    }
    return Cell(facts, found, means, capped)


def leaderboard(board: Board, cells: Sequence[Cell]) -> pd.DataFrame:
    """Lay out leaderboard.csv: cells in the board's order, then averages."""
    gains, ranks = _gains(board, cells), _ranks(board, cells)
    rows = [_row(board, cell, gains.get(id(cell)), ranks.get(id(cell))) for cell in cells]
    rows += _averages(board, cells, captured=False)
    kinds = {sample.kind for cell in cells if cell.facts.task != CLEAN for sample in cell.facts.samples}
    if "captured" in kinds and len(kinds) > 1:
        rows += _averages(board, cells, captured=True)
    return pd.DataFrame(rows, columns=list(columns(board)))


def columns(board: Board) -> tuple[str, ...]:
    """Name the columns of leaderboard.csv, in order."""
    scores = [f"{c.name}{end}" for c in board.columns for end in ("", "_low", "_high")]
    return (
        *("suite", "suite_version", "task", "dataset", "restorer", "tell", "training"),
        *("n_images", "n_scenes", "failed"),
        *scores,
        *("gain", "rank", "status", "digest"),
    )


def identity(board: Board, facts: CellFacts) -> Row:
    """Name a cell: the fields that every table of restorers begins with."""
    return {
        "suite": board.suite,
        "suite_version": board.version,
        "task": facts.task,
        "dataset": facts.dataset,
        "restorer": facts.restorer,
        "tell": facts.tell,
        "training": facts.training,
    }


def _row(board: Board, cell: Cell, gain: float | None, rank: int | None) -> Row:
    facts = cell.facts
    row = identity(board, facts) | {
        "n_images": len(facts.samples),
        "n_scenes": len({sample.scene for sample in facts.samples}),
        "failed": cell.failed,
    }
    for column in board.columns:
        values, scenes = cell.scored(column.name)
        if values:
            row[column.name] = sum(values) / len(values)
            seed = statistics.seed_from(digest(facts.row_digest, column.name))
            _put_interval(row, column.name, statistics.interval(values, scenes, seed))
    return row | {"gain": gain, "rank": rank, "status": _status(board, cell), "digest": facts.row_digest}


def _put_interval(row: Row, name: str, interval: statistics.Interval | None) -> None:
    row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)


def _status(board: Board, cell: Cell) -> str:
    """Say all that a reader must know of a row; `ok` when there is nothing."""
    facts, total = cell.facts, len(cell.facts.samples)
    if facts.skipped:
        return f"skipped: {facts.skipped}"
    notes = []
    if cell.failed:
        notes.append(f"incomplete: {cell.failed} of {total} failed")
    if cell.missing:
        notes.append(f"incomplete: {cell.missing} of {total * facts.repetitions} not run")
    if cell.capped:
        notes.append("capped")
    fallbacks = {r.execution.fallback for r in cell.records if r.execution and r.execution.fallback}
    if fallbacks:
        notes.append(f"fallback: {', '.join(sorted(fallbacks))}")
    executions = {
        f"{e.device.partition(':')[0]} x{e.threads} {e.precision}" for r in cell.records if (e := r.execution)
    }
    if len(executions) > 1:
        notes.append(f"mixed execution: {', '.join(sorted(executions))}")
    if facts.yardstick:
        notes.append("yardstick")
    notes += facts.notes
    notes += [f"no {c.name}: {c.unavailable}" for c in board.columns if c.unavailable]
    worked = len({record.sample for record in cell.records if record.status == OK})
    for column in facts.columns:
        unscored = len({record.sample for record in cell.records if column in record.unscored})
        if unscored:
            notes.append(f"{column} failed on {unscored} of {worked}")
        elif (scored := len(cell.values.get(column, ()))) < worked:
            notes.append(f"{column} of {scored} of {worked}")
    return "; ".join(notes) or "ok"


def _psnr(board: Board) -> Column | None:
    return next((column for column in board.columns if column.name.startswith("psnr@")), None)


def _gains(board: Board, cells: Sequence[Cell], captured: bool = False) -> dict[int, float]:
    """Return PSNR minus identity's on the same images, of complete cells where identity is complete."""
    column = _psnr(board)
    if column is None:
        return {}
    means = {id(c): mean for c in cells if c.complete and (mean := c.mean(column.name, captured)) is not None}
    floors = {
        (cell.facts.dataset, cell.facts.task): means[id(cell)]
        for cell in cells
        if cell.facts.plugin == "identity" and cell.facts.tell == "nothing" and id(cell) in means
    }
    return {
        id(cell): means[id(cell)] - floors[place]
        for cell in cells
        if id(cell) in means and (place := (cell.facts.dataset, cell.facts.task)) in floors
    }


def _ranks(board: Board, cells: Sequence[Cell], captured: bool = False) -> dict[int, int]:
    """Rank complete competitors of one task by the first column that may; ties share the better rank."""
    column = next((column for column in board.columns if column.ranks), None)
    if column is None:
        return {}
    rivals: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for cell in cells:
        values, scenes = cell.scored(column.name, captured)
        enough = len(set(scenes)) >= statistics.MIN_SCENES_FOR_RANK
        if cell.complete and not cell.facts.yardstick and enough:
            mean = round(sum(values) / len(values), _RANK_DECIMALS)
            rivals[cell.facts.dataset, cell.facts.task].append((id(cell), mean))
    sign = -1 if column.higher_is_better else 1
    return {
        name: 1 + sum(sign * other < sign * mean for _, other in group)
        for group in rivals.values()
        for name, mean in group
    }


def _averages(board: Board, cells: Sequence[Cell], captured: bool) -> list[Row]:
    """Average each restorer over tasks, one row per dataset; of captured images, over the tasks that have any.

    Where every task has one dataset but not all the same, a dataset alone is no whole board: then one row
    spans them all, and its dataset is `*`.
    """
    entering = [cell for cell in cells if cell.facts.task != CLEAN]
    places = list(dict.fromkeys((cell.facts.dataset, cell.facts.task) for cell in entering))
    tasks = set(board.tasks)
    if captured:
        tasks = {c.facts.task for c in entering if any(s.kind == "captured" for s in c.facts.samples)}
    split = len({dataset for dataset, _ in places}) > 1 and len({task for _, task in places}) == len(places)
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in entering:
        dataset = EVERY_DATASET if split else cell.facts.dataset
        group = groups[dataset, cell.facts.restorer, cell.facts.tell]
        if cell.facts.task in tasks:
            group.append(cell)
    wanted = [task for task in board.tasks if task in tasks]
    gains, ranks = _gains(board, entering, captured), _ranks(board, entering, captured)
    return [
        _average_row(board, group, dataset, wanted, gains, ranks, captured)
        for (dataset, _, _), group in groups.items()
        if group
    ]


def _average_row(
    board: Board,
    group: Sequence[Cell],
    dataset: str,
    tasks: Sequence[str],
    gains: Mapping[int, float],
    ranks: Mapping[int, int],
    captured: bool,
) -> Row:
    """Average one restorer over the wanted tasks; a task that is missing or incomplete blanks the numbers."""
    row = _average_facts(board, group, dataset, captured)
    held = {cell.facts.task for cell in group}
    holes = [cell.facts.task for cell in group if not cell.complete]
    lacking = dict.fromkeys([*(task for task in tasks if task not in held), *holes])
    notes = [f"{len(tasks)} of {board.tasks_in_suite or len(board.tasks)} tasks"] if captured else []
    notes += [board.share] * bool(board.share and not captured)
    if lacking:
        notes.append(f"incomplete: {', '.join(lacking)}")
        notes += ["yardstick"] * any(cell.facts.yardstick for cell in group)
        return row | {"status": "; ".join(notes)}
    _put_means(board, row, group, captured)
    for name, known in (("gain", gains), ("rank", ranks)):
        if all(id(cell) in known for cell in group):
            row[name] = sum(known[id(cell)] for cell in group) / len(group)
    notes += [note for cell in group for note in _status(board, cell).split("; ") if note != "ok"]
    return row | {"status": "; ".join(dict.fromkeys(notes)) or "ok"}


def _average_facts(board: Board, group: Sequence[Cell], dataset: str, captured: bool) -> Row:
    name = CAPTURED if captured else AVERAGE
    chosen = [
        {sample.id: sample.scene for sample in cell.facts.samples if not captured or sample.kind == "captured"}
        for cell in group
    ]
    broken = [{r.sample for r in cell.records if r.status != OK} for cell in group]
    return identity(board, group[0].facts) | {
        "task": name,
        "dataset": dataset,
        "n_images": sum(len(scenes) for scenes in chosen),
        "n_scenes": len({scene for scenes in chosen for scene in scenes.values()}),
        "failed": sum(len(bad & set(scenes)) for bad, scenes in zip(broken, chosen, strict=True)),
        "digest": digest(name, [cell.facts.row_digest for cell in group]),
    }


def _put_means(board: Board, row: Row, group: Sequence[Cell], captured: bool) -> None:
    """Put the unweighted mean of task means, where every task has the column, with a joint interval."""
    for column in board.columns:
        tasks = [cell.scored(column.name, captured) for cell in group]
        if all(values for values, _ in tasks):
            row[column.name] = sum(sum(values) / len(values) for values, _ in tasks) / len(tasks)
            seed = statistics.seed_from(digest(row["digest"], column.name))
            _put_interval(row, column.name, statistics.average_interval(tasks, seed))
