"""Restore single images of a run anew, as in the run, and say whether their scores agree with those of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from restorebench.contract.errors import RunFolderError
from restorebench.journal.journal import Journal
from restorebench.plan.plan import Plan, RestorerCell, TaskData
from restorebench.records import Key, Record, row_name
from restorebench.schedule.part import Outcome, run_part
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.tables.board import Column
from restorebench.tables.scored import DECIMALS
from restorebench.worker.jobs import Job

if TYPE_CHECKING:
    import numpy as np

    Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

Place = tuple[TaskData, int]
"""A task of a dataset, and the number of a sample there."""


@dataclass(frozen=True)
class Anew:
    """An output that was restored anew. note: whether its score is that of the run."""

    pixels: Pixels
    note: str


def restore_anew(
    plan: Plan,
    journal: Journal,
    lacking: Sequence[tuple[RestorerCell, Place]],
    column: Column,
    settings: Settings,
    watch: Watcher,
) -> dict[tuple[str, int], Anew]:
    """Restore the groups of these images in a temporary folder, told what they were told in the run.

    plan: of the run, with outputs to be saved. journal: of the run. settings: the device, workers and plugins.
    Returns the outputs by the digest of the cell and the number of the sample.

    Raises:
        RestorebenchError: one of them fails now, or its weights or device are missing.
    """
    from restorebench.toolbox.images import read, to_8bit

    numbers: dict[str, set[int]] = {}
    for cell, (_, number) in lacking:
        numbers.setdefault(cell.digest, set()).add(number)
    # Rows with the same options are one cell, which is restored once.
    cells = {cell.digest: cell for cell in plan.restorer_cells if cell.digest in numbers}
    part_of = replace(plan, detector_cells=(), restorer_cells=tuple(cells.values()))

    def wanted(job: Job) -> bool:
        return not job.repetition and not numbers[job.cell.digest].isdisjoint(job.samples)

    def told(new: Journal) -> None:
        for detector in {cell.told_by for cell in cells.values() if cell.told_by}:
            new.add_detections(journal.detections(detector).values())

    found = {}
    with run_part(part_of, settings, wanted, watch, known=told) as part:
        outcomes = {digest: part.outcomes(cell) for digest, cell in cells.items()}
        for cell, place in lacking:
            outcome = outcomes[cell.digest].get(key_of(place))
            if outcome is None or outcome.file is None:
                why = "it was told nothing" if outcome is None else outcome.record.reason
                raise RunFolderError(
                    f"{journal.folder}: {row_of(cell)} cannot restore {image_of(place)} anew ({why});"
                    " run its suite again with --save all"
                )
            note = _agreement(cell, place, journal, outcome, column)
            found[cell.digest, place[1]] = Anew(to_8bit(read(outcome.file)), note)
    return found


def _agreement(cell: RestorerCell, place: Place, journal: Journal, outcome: Outcome, column: Column) -> str:
    """Say whether an image that was restored anew has the score of the run; why not, as far as is known."""
    values = value_of(journal, cell, place, column), outcome.scores.get(column.name)
    before, after = (None if value is None else round(value, DECIMALS) for value in values)
    if before == after:
        return "restored anew" + ("" if before is None else ", with the score of the run")
    kinds = [_kind(record) for record in (journal.records(cell.digest)[key_of(place)], outcome.record)]
    why = (
        f"the run used {kinds[0]}, this is {kinds[1]}"
        if kinds[0] != kinds[1]
        else "the method is random from run to run, or packages or the machine changed"
    )
    texts = [shown_score(value, column, DECIMALS) or "nothing" for value in (after, before)]
    return f"restored anew, and scores {texts[0]} instead of {texts[1]} in the run: {why}"


def _kind(record: Record) -> str:
    return "an unknown device" if record.execution is None else record.execution.kind


def value_of(journal: Journal, cell: RestorerCell, place: Place, column: Column) -> float | None:
    """Return the score of an image in a journal, of the first repetition; None if there is none."""
    digest = next((each.digest for each in cell.columns if each.name == column.name), "")
    return journal.scores(cell.digest).get(key_of(place), {}).get(digest)


def key_of(place: Place) -> Key:
    """Return the key of an image in a journal, for the first repetition."""
    return place[0].samples[place[1]].id, 0


def shown_score(value: float | None, column: Column, decimals: int | None = None) -> str:
    """Format a score with its unit; "" if there is none."""
    if value is None:
        return ""
    unit = f" {column.unit}" if column.unit else ""
    return f"{value:.{column.decimals if decimals is None else decimals}f}{unit}"


def row_of(cell: RestorerCell) -> str:
    """Name the row of a cell: `NAME`, or `NAME:TELL`."""
    return row_name(cell.label, cell.tell)


def image_of(place: Place) -> str:
    """Name an image: `TASK/SAMPLE`."""
    return f"{place[0].task}/{place[0].samples[place[1]].id}"
