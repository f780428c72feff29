"""The leaderboard: one row per cell. Plugins cannot change this arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from restorebench.tables import intervals, value_range
from restorebench.tables.board import Board, CellFacts, Column, Family
from restorebench.tables.scored import Flags, Outcomes, ScoredCell
from restorebench.tables.status import Flag, Status, rendered, status, together, unconfined

AVERAGE = "average"
EVERY_DATASET = "*"
"""The dataset of an average over tasks that come from several datasets."""

Row = dict[str, Any]
Standings = Mapping[tuple[str, str, str], Row]
"""By task, dataset and name of a row: the fields that compare it with others, those of STANDING."""
STANDING = (
    *("gain", "gain_low", "gain_high", "win_rate", "harm_rate", "harm_low", "harm_high"),
    *("rank_low", "rank_high", "group", "best_in"),
)


def rows(board: Board, cells: Sequence[ScoredCell], standings: Standings) -> list[Row]:
    """Return the rows of leaderboard.csv for the cells, in the board's order."""
    return [
        _row(board, cell) | standings.get((cell.facts.task, cell.facts.dataset, cell.facts.name), {})
        for cell in cells
    ]


def columns(board: Board) -> tuple[str, ...]:
    """Return the names of the columns of leaderboard.csv, in order."""
    scores = [f"{c.name}{end}" for c in board.columns for end in ("", "_low", "_high")]
    return (
        *("suite", "suite_version", "task", "dataset", "restorer", "tell", "training", "family"),
        *("n_images", "n_scenes", "failed"),
        *scores,
        *STANDING,
        *("status", "digest"),
    )


def identity(board: Board, facts: CellFacts) -> Row:
    """Return the fields that identify a cell; every table of restorers begins with them."""
    return {
        "suite": board.suite,
        "suite_version": board.version,
        "task": facts.task,
        "dataset": facts.dataset,
        "restorer": facts.restorer,
        "tell": facts.tell,
        "training": facts.training,
        "family": str(facts.family),
    }


def _row(board: Board, cell: ScoredCell) -> Row:
    facts = cell.facts
    row = identity(board, facts) | {
        "n_images": len(facts.samples),
        "n_scenes": len({sample.scene for sample in facts.samples}),
        "failed": cell.failed,
    }
    for column in board.columns:
        values, scenes = cell.scored(column.name)
        if len(values):
            row[column.name] = sum(values.tolist()) / len(values)
            put_interval(row, column.name, intervals.interval(values, scenes))
    return row | {"digest": facts.row_digest} | rendered(status_of(board, cell))


def put_interval(row: Row, name: str, interval: intervals.Interval | None) -> None:
    """Put the ends of a column's interval into a row; blank if there is none."""
    row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)


def status_of(board: Board, cell: ScoredCell) -> Status:
    """Return everything that a reader must know about a row besides its numbers."""
    facts, total = cell.facts, len(cell.facts.samples)
    if facts.skipped:
        return status(Flag.SKIPPED, f"skipped: {facts.skipped}")
    executions = {execution for execution in set(cell.outcomes.executions) if execution}
    fallbacks = sorted({execution.fallback for execution in executions if execution.fallback})
    kinds = sorted({execution.kind for execution in executions})
    failed = f"incomplete: {cell.failed} of {total} failed" if cell.failed else ""
    not_run = f"incomplete: {cell.missing} of {total * facts.repetitions} not run" if cell.missing else ""
    return together(
        [
            status(Flag.SHARE, facts.share),
            status(Flag.INCOMPLETE, failed, not_run),
            status(Flag.CAPPED, "capped" if cell.capped else ""),
            status(Flag.FALLBACK, f"fallback: {', '.join(fallbacks)}" if fallbacks else ""),
            status(Flag.MIXED_EXECUTION, f"mixed execution: {', '.join(kinds)}" if len(kinds) > 1 else ""),
            unconfined(execution.unconfined for execution in executions),
            status(Flag.NOTE, *_remarks(cell.outcomes)),
            status(Flag.YARDSTICK, "yardstick" if facts.family is Family.YARDSTICK else ""),
            status(Flag.NOTE, *facts.notes),
            status(Flag.NOTE, *(f"{column.name} unavailable" for column in board.columns if column.unavailable)),
            status(Flag.NOTE, *_columns_with_gaps(cell)),
        ]
    )


def _remarks(outcomes: Outcomes) -> Iterator[str]:
    """Yield what is to be said of how a method behaved."""
    yield value_range.clipped(outcomes.values[outcomes.ok], outcomes.pixels[outcomes.ok])
    if (outcomes.repeats > 0).any():
        yield f"not deterministic: {np.nanmax(outcomes.repeats):.1e}"


def _columns_with_gaps(cell: ScoredCell) -> Iterator[str]:
    """Yield a text for each column that lacks the scores of some restored images."""
    worked = int(cell.worked.sum())
    for column in cell.facts.columns:
        if unscored := cell.lacking(column):
            yield f"{column} failed on {unscored} of {worked}"
        elif (scored := int((~np.isnan(cell.means(column))).sum())) < worked:
            yield f"{column} of {scored} of {worked}"


def comparable(cells: Sequence[ScoredCell], column: str, captured: bool = False) -> set[str]:
    """Return the keys of complete cells that have every score that any cell of their task has or should have.

    If a cell lacks the score of an image, its mean is over other images than its rivals', perhaps easier ones.
    """
    expected: dict[tuple[str, str], Flags] = {}
    for cell in cells:
        where, tried = (cell.facts.dataset, cell.facts.task), cell.tried(column, captured)
        expected[where] = tried | expected[where] if where in expected else tried
    return {
        cell.key
        for cell in cells
        if cell.complete and cell.has(column, expected[cell.facts.dataset, cell.facts.task])
    }


def gain_column(board: Board) -> Column | None:
    """Return the column of the gain over identity: the first PSNR."""
    return next((column for column in board.columns if column.name.startswith("psnr@")), None)


def is_identity(facts: CellFacts) -> bool:
    """Tell whether a cell returns its input, which a gain is measured from."""
    return facts.plugin == "identity" and facts.tell == "nothing"
