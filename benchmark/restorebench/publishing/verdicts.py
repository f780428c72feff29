"""What is known of each row of a published folder, and the problems that were found on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.recompute import Problem, Recomputed, Row, in_words
from restorebench.publishing.rerun import Image, ImageKey, Rerun, published_images
from restorebench.tables.board import Column

TOLERANCE = {"dB": 1e-3}
OTHERWISE = 1e-5
"""How far a score may be from the published one, by the unit of its column, before more is asked of it."""
SAFETY = 4.0
"""Then it may be as far away as this many times what other instructions of the processor change in it."""


class State(StrEnum):
    """What is known of a row. Each state says more than the one before it."""

    REPORTED = "reported"
    """Somebody says so."""
    RECOMPUTED = "recomputed"
    """The tables follow from the records."""
    RESCORED = "rescored"
    """The records follow from the published images."""
    REPRODUCED = "reproduced"
    """The images follow from the weights and options."""


@dataclass
class Verdict:
    """What was found of one row on one task.

    images, of: how many images were looked at for its state, of how many. greatest: the greatest difference of a
    score that was let pass.
    """

    row: Row
    state: State = State.REPORTED
    images: int = 0
    of: int = 0
    greatest: float = 0.0


@dataclass(frozen=True)
class _Doubt:
    """A score that is further from the published one than the tolerance."""

    key: ImageKey
    column: str
    said: float
    found: float

    def problem(self) -> Problem:
        row, sample, repetition = self.key
        line = f"{in_words(row)}, {sample}, repetition {repetition}"
        return Problem("records.csv", line, self.column, f"{self.said:.6f}", f"{self.found:.6f}", frozenset({row}))


class Verdicts:
    """The verdicts of a published folder, by row."""

    def __init__(self, published: PublishedFolder) -> None:
        self._columns = {column.name: column for column in published.board.columns}
        self._published = {key: image for cell in published.cells for key, image in published_images(cell)}
        facts = [cell.facts for cell in published.cells]
        self.rows = {
            row: Verdict(row, of=len(cell.samples) * cell.repetitions)
            for cell in facts
            for row in [(cell.task, cell.dataset, cell.name)]
        }

    def recomputed(self, found: Recomputed) -> None:
        """Note which rows follow from the records."""
        everywhere = any(not problem.rows for problem in found.problems)
        wrong = {row for problem in found.problems for row in problem.rows}
        for row, verdict in self.rows.items():
            if not everywhere and row not in wrong:
                verdict.state, verdict.images, verdict.greatest = State.RECOMPUTED, verdict.of, found.greatest

    def compared(self, found: Mapping[ImageKey, Image], state: State, there: Rerun) -> list[Problem]:
        """Compare images with the published records; rows without a problem rise to the state."""
        problems, doubts, greatest = [], [], dict.fromkeys(self.rows, 0.0)
        for key, image in found.items():
            said = self._published.get(key)
            if said is None or said.status != image.status:
                problems.append(_other_status(key, said, image))
                continue
            for column, value, now in _both(said, image, there.columns):
                apart = 0.0 if value == now else abs(value - now)
                if apart <= _tolerance(self._columns[column]):
                    greatest[key[0]] = max(greatest[key[0]], apart)
                else:
                    doubts.append(_Doubt(key, column, value, now))
        problems += [doubt.problem() for doubt in self._real(doubts, found, state, there)]
        self._raise(found, state, {row for problem in problems for row in problem.rows}, greatest)
        return problems

    def _real(
        self, doubts: Collection[_Doubt], found: Mapping[ImageKey, Image], state: State, there: Rerun
    ) -> Iterator[_Doubt]:
        """Yield the doubts that other instructions of the processor do not explain."""
        left = list(doubts)
        if state is State.REPRODUCED:
            wanted: dict[tuple[str, str], set[str]] = {}
            for doubt in doubts:
                (task, dataset, _), sample, _ = doubt.key
                wanted.setdefault((dataset, task), set()).add(sample)
            for other in there.with_other_instructions(wanted) if doubts else ():
                left = [doubt for doubt in left if not self._explained(doubt, other.get(doubt.key))]
                if not left:
                    break
        yield from left

    def _explained(self, doubt: _Doubt, other: Image | None) -> bool:
        """Tell whether an image restored with other instructions explains the published score."""
        score = None if other is None else other.scores.get(doubt.column)
        if score is None:
            return False
        near = abs(round(score, 6) - doubt.said) <= _tolerance(self._columns[doubt.column])
        return near or abs(doubt.said - doubt.found) <= SAFETY * abs(score - doubt.found)

    def _raise(
        self, found: Iterable[ImageKey], state: State, wrong: Collection[Row], greatest: Mapping[Row, float]
    ) -> None:
        images: dict[Row, int] = {}
        for row, _, _ in found:
            images[row] = images.get(row, 0) + 1
        for row, count in images.items():
            verdict = self.rows[row]
            if row not in wrong and verdict.state is not State.REPORTED:
                verdict.state, verdict.images, verdict.greatest = state, count, greatest[row]


def _tolerance(column: Column) -> float:
    return TOLERANCE.get(column.unit, OTHERWISE)


def _both(said: Image, image: Image, columns: Collection[str]) -> Iterator[tuple[str, float, float]]:
    """Yield column and both scores; a score that one side lacks is NaN, which is near nothing.

    columns: those that can be scored here.
    """
    nan = float("nan")
    for column in dict.fromkeys([*said.scores, *image.scores]):
        if column not in columns:
            continue
        yield column, said.scores.get(column, nan), round(image.scores.get(column, nan), 6)


def _other_status(key: ImageKey, said: Image | None, image: Image) -> Problem:
    row, sample, repetition = key
    line = f"{in_words(row)}, {sample}, repetition {repetition}"
    before = "no record" if said is None else f"{said.status} {said.reason}".strip()
    return Problem(
        "records.csv", line, "status", before, f"{image.status} {image.reason}".strip(), frozenset({row})
    )
