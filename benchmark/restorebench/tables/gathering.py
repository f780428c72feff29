"""Gathering of records, which come in any order, into the arrays of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from restorebench.records import OK, Execution, Failure, FailureKind, Key, Record
from restorebench.tables import value_range
from restorebench.tables.board import Board, SampleFacts
from restorebench.tables.bootstrap import Array
from restorebench.tables.scored import Numbers, Outcomes


class Gathering:
    """Takes the records of a cell in any order; the last of several records of an image counts."""

    def __init__(self, samples: Iterable[SampleFacts], repetitions: int) -> None:
        self._places = {sample.id: number for number, sample in enumerate(samples)}
        self._repetitions = repetitions
        size = len(self._places) * repetitions
        self._size = size
        self._there, self._ok, self._warm = (np.zeros(size, dtype=bool) for _ in range(3))
        self._seconds, self._peak_mib, self._inside, self._repeats = (np.full(size, np.nan) for _ in range(4))
        self._values = np.full((size, 4), np.nan)
        self._pixels = np.zeros(size)
        self._scores: dict[str, Array] = {}
        self._told: list[tuple[str, ...] | None] = [None] * size
        self._executions: list[Execution | None] = [None] * size
        self._failures: dict[int, Failure] = {}
        self._unscored: dict[int, Mapping[str, Failure]] = {}
        # The records of a cell hold few different values of these two: one object of each is kept.
        self._one_told: dict[tuple[str, ...] | None, tuple[str, ...] | None] = {}
        self._one_execution: dict[Execution | None, Execution | None] = {}

    def put(self, record: Record) -> None:
        """Note a record; one of an image that is not of this cell is left out."""
        sample = self._places.get(record.sample)
        if sample is None or not 0 <= record.repetition < self._repetitions:
            return
        place = sample * self._repetitions + record.repetition
        self._there[place], self._ok[place], self._warm[place] = True, record.status == OK, record.warm
        self._seconds[place] = np.nan if record.seconds is None else record.seconds
        self._peak_mib[place] = np.nan if record.peak_mib is None else record.peak_mib
        self._inside[place] = np.nan if record.inside is None else record.inside
        self._repeats[place] = np.nan if record.repeat is None else record.repeat
        found = record.values
        self._values[place] = np.nan if found is None else (found.least, found.greatest, found.mean, found.outside)
        self._pixels[place] = record.pixels
        self._put_scores(place, record.scores)
        self._told[place] = self._one_told.setdefault(record.told, record.told)
        self._executions[place] = self._one_execution.setdefault(record.execution, record.execution)
        self._failures.pop(place, None)
        self._unscored.pop(place, None)
        if record.failure is not None:
            self._failures[place] = record.failure
        if record.unscored:
            self._unscored[place] = record.unscored

    def put_scores(self, key: Key, scores: Mapping[str, float | None]) -> None:
        """Note the scores by column of an image; they are left out if it was not restored."""
        if (place := self._restored(key)) is not None:
            self._put_scores(place, scores)

    def put_unscored(self, key: Key, why: Mapping[str, Failure]) -> None:
        """Note by column why an image that was restored has no score."""
        if (place := self._restored(key)) is not None and why:
            self._unscored[place] = why

    def _restored(self, key: Key) -> int | None:
        """Return the place of an image that was restored, or None."""
        sample = self._places.get(key[0])
        if sample is None or not 0 <= key[1] < self._repetitions:
            return None
        place = sample * self._repetitions + key[1]
        return place if self._there[place] and self._ok[place] else None

    def _put_scores(self, place: int, scores: Mapping[str, float | None]) -> None:
        for name in scores.keys() - self._scores.keys():
            self._scores[name] = np.full(self._size, np.nan)
        for name, values in self._scores.items():
            score = scores.get(name)
            values[place] = np.nan if score is None else score

    def outcomes(self) -> Outcomes:
        """Return what was gathered."""
        there = np.flatnonzero(self._there)
        self._refuse(there)
        number = {int(place): n for n, place in enumerate(there)} if self._failures or self._unscored else {}
        return Outcomes(
            samples=there // self._repetitions,
            repetitions=there % self._repetitions,
            ok=self._ok[there],
            scores={name: values[there] for name, values in self._scores.items()},
            seconds=self._seconds[there],
            pixels=self._pixels[there],
            peak_mib=self._peak_mib[there],
            inside=self._inside[there],
            repeats=self._repeats[there],
            values=self._values[there],
            warm=self._warm[there],
            told=[self._told[place] for place in there],
            executions=[self._executions[place] for place in there],
            failures={number[place]: self._failures[place] for place in sorted(self._failures)},
            unscored={number[place]: self._unscored[place] for place in sorted(self._unscored)},
        )

    def _refuse(self, there: Numbers) -> None:
        """Fail all images of a cell whose values, taken together, are not those of images in [0, 1]."""
        known = there[self._ok[there] & ~np.isnan(self._values[there, 0])]
        why = value_range.wrong(self._values[known], self._pixels[known])
        if why:
            self._ok[known] = False
            for scores in self._scores.values():
                scores[known] = np.nan
            for place in known.tolist():
                self._failures[place] = Failure(FailureKind.CONTRACT, why)
                self._unscored.pop(place, None)


def gathered(board: Board, records: Iterable[Record]) -> dict[str, Outcomes]:
    """Give every cell of a board its records, which come in any order; by digest."""
    gathering = {facts.digest: Gathering(facts.samples, facts.repetitions) for facts in board.cells}
    for record in records:
        if (of_cell := gathering.get(record.digest)) is not None:
            of_cell.put(record)
    return {digest: of_cell.outcomes() for digest, of_cell in gathering.items()}
