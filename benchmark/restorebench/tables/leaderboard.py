"""The leaderboard: one row per cell. Plugins cannot change this arithmetic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.records import OK, Record
from restorebench.tables import intervals
from restorebench.tables.board import Board, CellFacts, Column, Family
from restorebench.tables.status import Flag, Status, rendered, status, together
from restorebench.toolbox.digests import digest
from restorebench.toolbox.synthesis import PERFECT

CAP = PERFECT
"""The cap on PSNR in a mean, in dB. It holds for finite values too, or they would beat an infinite one."""
DECIMALS = 6
"""Scores count as records.csv shows them, so that its readers arrive at the same means and comparisons."""
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


@dataclass(frozen=True)
class ScoredCell:
    """A cell and its results.

    values: column -> sample -> mean over repetitions. capped: whether a score in them was reduced to CAP.
    """

    facts: CellFacts
    records: tuple[Record, ...]
    values: Mapping[str, Mapping[str, float]]
    capped: bool

    @property
    def key(self) -> str:
        """The digest of the row, which identifies the cell in results."""
        return self.facts.row_digest

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
        """Return the values of a column and their scenes, of all samples or only of captured ones."""
        found = self.values.get(column, {})
        chosen = [s for s in self.facts.samples if s.id in found and (not captured or s.kind == "captured")]
        return [found[s.id] for s in chosen], [s.scene for s in chosen]

    def tried(self, column: str, captured: bool = False) -> set[str]:
        """Return the ids of samples that a column applies to: those with a score, and those whose score failed."""
        known = {r.sample for r in self.records if r.scores.get(column) is not None or column in r.unscored}
        return {s.id for s in self.facts.samples if s.id in known and (not captured or s.kind == "captured")}

    def has(self, column: str, expected: set[str]) -> bool:
        """Return whether every expected sample has a score in every repetition."""
        count = Counter(r.sample for r in self.records if r.status == OK and r.scores.get(column) is not None)
        return all(count[sample] == self.facts.repetitions for sample in expected)


def decibels(columns: Iterable[Column]) -> set[str]:
    """Name the columns in dB, which are capped in means."""
    return {column.name for column in columns if column.unit == "dB" or column.name.startswith("psnr@")}


def gather(facts: CellFacts, held: Mapping[tuple[str, int], Record], capped_columns: set[str]) -> ScoredCell:
    """Collect the records of a cell. held: records by sample and repetition. capped_columns: those in dB."""
    wanted = [(sample.id, repetition) for sample in facts.samples for repetition in range(facts.repetitions)]
    found = tuple(held[key] for key in wanted if key in held)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    capped = False
    for record in found:
        for column, value in record.scores.items():
            if record.status == OK and value is not None:
                over = column in capped_columns and value > CAP
                capped = capped or over
                values[column][record.sample].append(CAP if over else round(value, DECIMALS))
    means = {
        column: {sample: sum(several) / len(several) for sample, several in by_sample.items()}
        for column, by_sample in values.items()
    }
    return ScoredCell(facts, found, means, capped)


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
        if values:
            row[column.name] = sum(values) / len(values)
            seed = intervals.seed_from(digest(facts.row_digest, column.name))
            put_interval(row, column.name, intervals.interval(values, scenes, seed))
    return row | {"digest": facts.row_digest} | rendered(status_of(board, cell))


def put_interval(row: Row, name: str, interval: intervals.Interval | None) -> None:
    """Put the ends of a column's interval into a row; blank if there is none."""
    row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)


def status_of(board: Board, cell: ScoredCell) -> Status:
    """Return everything that a reader must know about a row besides its numbers."""
    facts, total = cell.facts, len(cell.facts.samples)
    if facts.skipped:
        return status(Flag.SKIPPED, f"skipped: {facts.skipped}")
    executions = {record.execution for record in cell.records if record.execution}
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
            status(Flag.YARDSTICK, "yardstick" if facts.family is Family.YARDSTICK else ""),
            status(Flag.NOTE, *facts.notes),
            status(Flag.NOTE, *(f"{column.name} unavailable" for column in board.columns if column.unavailable)),
            status(Flag.NOTE, *_columns_with_gaps(cell)),
        ]
    )


def _columns_with_gaps(cell: ScoredCell) -> Iterator[str]:
    """Yield a text for each column that lacks the scores of some restored images."""
    worked = len({record.sample for record in cell.records if record.status == OK})
    for column in cell.facts.columns:
        unscored = len({record.sample for record in cell.records if column in record.unscored})
        if unscored:
            yield f"{column} failed on {unscored} of {worked}"
        elif (scored := len(cell.values.get(column, ()))) < worked:
            yield f"{column} of {scored} of {worked}"


def comparable(cells: Sequence[ScoredCell], column: str, captured: bool = False) -> set[str]:
    """Return the keys of complete cells that have every score that any cell of their task has or should have.

    If a cell lacks the score of an image, its mean is over other images than its rivals', perhaps easier ones.
    """
    expected: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        expected[cell.facts.dataset, cell.facts.task] |= cell.tried(column, captured)
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
