"""The results of cells as arrays, so that a million records fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from restorebench.records import Execution, Failure
from restorebench.tables.board import Board, CellFacts, Column
from restorebench.tables.bootstrap import Array
from restorebench.toolbox.synthesis import PERFECT

CAP = PERFECT
"""The cap on PSNR in a mean, in dB. It holds for finite values too, or they would beat an infinite one."""
DECIMALS = 6
"""Scores count as records.csv shows them, so that its readers arrive at the same means and comparisons."""
_LARGE = 1e9  # from here on a float has no digits left to round away, and rounding could overflow

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The records of a cell, in the order of its samples and repetitions: entry n of every array is record n.

    samples: numbers of samples of the cell. ok: whether the image was restored. scores: by column, NaN where there
    is none. seconds, inside, peak_mib, repeats: NaN if not known. values: (records, 4), the fields of `Values`;
    NaN if not known. failures: why an image was not restored, and unscored: why it has no score, by column; both
    by number of the record. told, executions: None if there is none.
    """

    samples: Numbers
    repetitions: Numbers
    ok: Flags
    scores: Mapping[str, Array]
    seconds: Array
    pixels: Array
    peak_mib: Array
    inside: Array
    repeats: Array
    values: Array
    warm: Flags
    told: list[tuple[str, ...] | None]
    executions: list[Execution | None]
    failures: Mapping[int, Failure]
    unscored: Mapping[int, Mapping[str, Failure]]

    def __len__(self) -> int:
        return len(self.samples)

    def of(self, kept: Flags) -> Outcomes:
        """Return the records of the samples for which `kept`, (samples,), is true; samples are numbered anew."""
        chosen = np.flatnonzero(kept[self.samples])
        place = {int(old): new for new, old in enumerate(chosen)}
        return Outcomes(
            samples=(np.cumsum(kept) - 1)[self.samples[chosen]],
            repetitions=self.repetitions[chosen],
            ok=self.ok[chosen],
            scores={name: values[chosen] for name, values in self.scores.items()},
            seconds=self.seconds[chosen],
            pixels=self.pixels[chosen],
            peak_mib=self.peak_mib[chosen],
            inside=self.inside[chosen],
            repeats=self.repeats[chosen],
            values=self.values[chosen],
            warm=self.warm[chosen],
            told=[self.told[n] for n in chosen],
            executions=[self.executions[n] for n in chosen],
            failures={place[n]: why for n, why in self.failures.items() if n in place},
            unscored={place[n]: why for n, why in self.unscored.items() if n in place},
        )


@dataclass(frozen=True, eq=False)
class ScoredCell:
    """A cell and its results.

    values: by column, (samples,) means over repetitions, NaN where there is no score. capped: whether a score in
    them was reduced to CAP.
    """

    facts: CellFacts
    outcomes: Outcomes
    values: Mapping[str, Array]
    capped: bool
    captured: Flags = field(init=False)

    def __post_init__(self) -> None:
        flags = np.array([sample.kind == "captured" for sample in self.facts.samples], dtype=bool)
        object.__setattr__(self, "captured", flags)

    @property
    def key(self) -> str:
        """The digest of the row, which identifies the cell in results."""
        return self.facts.row_digest

    @property
    def complete(self) -> bool:
        return not self.facts.skipped and self.failed == 0 and self.missing == 0

    @property
    def failed(self) -> int:
        return int(self.broken.sum())

    @property
    def broken(self) -> Flags:
        """Which samples could not be restored, in any repetition: (samples,)."""
        return self._any(~self.outcomes.ok)

    @property
    def worked(self) -> Flags:
        """Which samples were restored, in any repetition: (samples,)."""
        return self._any(self.outcomes.ok)

    @property
    def missing(self) -> int:
        return len(self.facts.samples) * self.facts.repetitions - len(self.outcomes)

    def scored(self, column: str, captured: bool = False) -> tuple[Array, list[str]]:
        """Return the values of a column and their scenes, of all samples or only of captured ones."""
        values = self.means(column)
        chosen = self._wanted(~np.isnan(values), captured)
        return values[chosen], [self.facts.samples[n].scene for n in np.flatnonzero(chosen)]

    def means(self, column: str) -> Array:
        """Return the scores of a column, (samples,); NaN where there is none."""
        found = self.values.get(column)
        return np.full(len(self.facts.samples), np.nan) if found is None else found

    def tried(self, column: str, captured: bool = False) -> Flags:
        """Tell which samples a column applies to: those with a score, and those whose score failed; (samples,)."""
        known = self._scored(column)
        known[[n for n, why in self.outcomes.unscored.items() if column in why]] = True
        return self._wanted(self._any(known), captured)

    def has(self, column: str, expected: Flags) -> bool:
        """Return whether every expected sample has a score in every repetition. expected: (samples,)."""
        scored = self.outcomes.samples[self._scored(column) & self.outcomes.ok]
        counts = np.bincount(scored, minlength=len(self.facts.samples))
        return bool((counts[expected] == self.facts.repetitions).all())

    def lacking(self, column: str) -> int:
        """Count the samples on which the metric of a column failed."""
        numbers = [n for n, why in self.outcomes.unscored.items() if column in why]
        return len(set(self.outcomes.samples[numbers].tolist()))

    def alone(self, facts: CellFacts, kept: Flags) -> ScoredCell:
        """Return the results of some samples, which are those of the facts. kept: (samples,)."""
        values = {name: means[kept] for name, means in self.values.items()}
        return replace(self, facts=facts, outcomes=self.outcomes.of(kept), values=values)

    def _scored(self, column: str) -> Flags:
        """Tell which records have a score."""
        scores = self.outcomes.scores.get(column)
        return np.zeros(len(self.outcomes), dtype=bool) if scores is None else ~np.isnan(scores)

    def _any(self, records: Flags) -> Flags:
        """Tell for which samples a flag of any of their records is true."""
        found = np.zeros(len(self.facts.samples), dtype=bool)
        found[self.outcomes.samples[records]] = True
        return found

    def _wanted(self, samples: Flags, captured: bool) -> Flags:
        return samples & self.captured if captured else samples


def decibels(columns: Iterable[Column]) -> set[str]:
    """Name the columns in dB, which are capped in means."""
    return {column.name for column in columns if column.unit == "dB" or column.name.startswith("psnr@")}


def scored_cell(facts: CellFacts, outcomes: Outcomes, capped_columns: set[str]) -> ScoredCell:
    """Average the scores of each sample over repetitions. capped_columns: those in dB."""
    values: dict[str, Array] = {}
    capped = False
    for column, scores in outcomes.scores.items():
        used = outcomes.ok & ~np.isnan(scores)
        with np.errstate(over="ignore", invalid="ignore"):
            counted = np.where(np.abs(scores) < _LARGE, np.round(scores, DECIMALS), scores)[used]
        if column in capped_columns:
            over = counted > CAP
            capped = capped or bool(over.any())
            counted[over] = CAP
        sums, counts = np.zeros(len(facts.samples)), np.zeros(len(facts.samples))
        np.add.at(sums, outcomes.samples[used], counted)
        np.add.at(counts, outcomes.samples[used], 1)
        with np.errstate(invalid="ignore"):
            values[column] = sums / counts
    return ScoredCell(facts, outcomes, values, capped)


def scored_cells(board: Board, outcomes: Mapping[str, Outcomes]) -> list[ScoredCell]:
    """Return the scored cells of a board in its order. outcomes: by digest."""
    capped = decibels(board.columns)
    return [scored_cell(facts, outcomes[facts.digest], capped) for facts in board.cells]
