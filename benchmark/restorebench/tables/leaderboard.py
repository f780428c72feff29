"""The leaderboard: one row per cell, with its gain and its rank. Plugins cannot change this arithmetic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.records import OK, Record
from restorebench.tables import intervals
from restorebench.tables.board import Board, CellFacts, Column
from restorebench.tables.status import Flag, Status, rendered, status, together
from restorebench.toolbox.digests import digest
from restorebench.toolbox.synthesis import PERFECT

CAP = PERFECT
"""The cap on PSNR in a mean, in dB. It holds for finite values too, or they would beat an infinite one."""
AVERAGE = "average"
_RANK_DECIMALS = 6  # ranks compare what the CSV prints

Row = dict[str, Any]


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

    def mean(self, column: str, captured: bool = False) -> float | None:
        """Return the mean over samples; None if there is no value."""
        values, _ = self.scored(column, captured)
        return sum(values) / len(values) if values else None


def gather(facts: CellFacts, held: Mapping[tuple[str, int], Record], decibels: set[str]) -> ScoredCell:
    """Collect the records of a cell. held: records by sample and repetition. decibels: the columns to cap."""
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
    return ScoredCell(facts, found, means, capped)


def rows(board: Board, cells: Sequence[ScoredCell]) -> list[Row]:
    """Return the rows of leaderboard.csv for the cells, in the board's order."""
    gained, ranked = gains(board, cells), ranks(board, cells)
    return [_row(board, cell, gained.get(cell.key), ranked.get(cell.key)) for cell in cells]


def columns(board: Board) -> tuple[str, ...]:
    """Return the names of the columns of leaderboard.csv, in order."""
    scores = [f"{c.name}{end}" for c in board.columns for end in ("", "_low", "_high")]
    return (
        *("suite", "suite_version", "task", "dataset", "restorer", "tell", "training"),
        *("n_images", "n_scenes", "failed"),
        *scores,
        *("gain", "rank", "status", "digest"),
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
    }


def _row(board: Board, cell: ScoredCell, gain: float | None, rank: int | None) -> Row:
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
    return row | {"gain": gain, "rank": rank, "digest": facts.row_digest} | rendered(status_of(board, cell))


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
            status(Flag.YARDSTICK, "yardstick" if facts.yardstick else ""),
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


def _psnr(board: Board) -> Column | None:
    return next((column for column in board.columns if column.name.startswith("psnr@")), None)


def gains(board: Board, cells: Sequence[ScoredCell], captured: bool = False) -> dict[str, float]:
    """Return PSNR minus that of `identity` on the same images, by cell key, where both are comparable."""
    column = _psnr(board)
    if column is None:
        return {}
    sound = comparable(cells, column.name, captured)
    means = {c.key: mean for c in cells if c.key in sound and (mean := c.mean(column.name, captured)) is not None}
    baselines = {
        (cell.facts.dataset, cell.facts.task): means[cell.key]
        for cell in cells
        if cell.facts.plugin == "identity" and cell.facts.tell == "nothing" and cell.key in means
    }
    return {
        cell.key: means[cell.key] - baselines[data]
        for cell in cells
        if cell.key in means and (data := (cell.facts.dataset, cell.facts.task)) in baselines
    }


def ranks(board: Board, cells: Sequence[ScoredCell], captured: bool = False) -> dict[str, int]:
    """Rank the comparable cells of each task, by key, on the first column that may rank; ties share the better."""
    column = next((column for column in board.columns if column.ranks), None)
    if column is None:
        return {}
    sound = comparable(cells, column.name, captured)
    rivals: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for cell in cells:
        values, scenes = cell.scored(column.name, captured)
        enough = len(set(scenes)) >= intervals.MIN_SCENES_FOR_RANK
        if cell.key in sound and not cell.facts.yardstick and enough:
            mean = round(sum(values) / len(values), _RANK_DECIMALS)
            rivals[cell.facts.dataset, cell.facts.task].append((cell.key, mean))
    sign = -1 if column.higher_is_better else 1
    return {
        name: 1 + sum(sign * other < sign * mean for _, other in group)
        for group in rivals.values()
        for name, mean in group
    }
