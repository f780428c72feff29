"""Find the work of a plan that its journal does not have yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

from restorebench.contract.tasks import components
from restorebench.guest.messages import Told
from restorebench.journal.journal import Journal
from restorebench.journal.layout import triple_name
from restorebench.plan.plan import Plan, RestorerCell, ScoreColumn
from restorebench.records import FAILED, OK, DetectionRecord, Failure, FailureKind, Key, Record
from restorebench.schedule.cell_specs import (
    detector_spec,
    folder_of_triples,
    needs_floats,
    quantised,
    restorer_spec,
)
from restorebench.worker.jobs import CellSpec, Job


@dataclass(frozen=True)
class Todo:
    """The jobs to run, and the failures that are known before anything runs."""

    jobs: tuple[Job, ...]
    failures: tuple[Record, ...] = ()


def detector_jobs(plan: Plan, journal: Journal, retry_failed: bool = False) -> tuple[Job, ...]:
    """List the groups whose detections are missing, or failed in a way worth another try."""
    jobs = []
    for cell in plan.detector_cells:
        known = journal.detections(cell.digest)
        spec = detector_spec(plan, cell)
        for group in cell.data.groups:
            ids = tuple(cell.data.samples[number].id for number in group)
            if not all(_settled(known.get(name), retry_failed) for name in ids):
                jobs.append(Job(spec, group, ids, "detect", told=(None,) * len(ids)))
    return tuple(jobs)


def restorer_jobs(
    plan: Plan, journal: Journal, retry_failed: bool = False, scoring_only: bool = False, foreseen: bool = False
) -> Todo:
    """List the groups that are not restored yet, and the images that only lack scores.

    scoring_only: restore nothing; scores that `unscorable` counts then stay empty. foreseen: also list groups that
    wait for a detection, as if the detection existed and were empty.
    """
    jobs: list[Job] = []
    failures: list[Record] = []
    for cell in plan.restorer_cells:
        if cell.skipped or _finished(plan, journal, cell):
            continue
        known = _Known(journal, cell, retry_failed)
        spec = restorer_spec(plan, cell)
        for repetition, group in product(range(cell.repetitions), cell.data.groups):
            numbers = {(cell.data.samples[number].id, repetition): number for number in group}
            scores = _scores_to_add(plan, journal, cell, known, numbers, scoring_only)
            if scores is not None:
                jobs += [
                    _scoring_job(spec, key, numbers[key], known.records[key].output, columns)
                    for key, columns in scores.items()
                ]
                continue
            restoring, lost = _restoring_job(spec, cell, known, group, repetition, foreseen)
            jobs += restoring
            failures += lost
    return Todo(tuple(jobs), tuple(failures))


def _finished(plan: Plan, journal: Journal, cell: RestorerCell) -> bool:
    """Tell whether a cell has all that it can have, without a look at each image; false where files must exist."""
    if plan.suite.save == "all" or plan.suite.samples:
        return False
    scores = [column.digest for column in cell.columns]
    return journal.finished(cell.digest, len(cell.data.samples), cell.repetitions, scores)


def _scores_to_add(
    plan: Plan,
    journal: Journal,
    cell: RestorerCell,
    known: _Known,
    numbers: Mapping[Key, int],
    scoring_only: bool,
) -> dict[Key, tuple[ScoreColumn, ...]] | None:
    """Return the columns to score for each saved image of a group; None if the group must be restored.

    numbers: indices of the samples. A group is restored again if one of its images was not restored, was to be
    kept but is missing, or lacks a score that cannot be computed from its saved file.
    """
    lacking = {key: known.missing(key) for key in numbers}
    ready = {key: _scorable(plan, journal, known.records.get(key), columns) for key, columns in lacking.items()}
    restored = all(known.settled(key) for key in numbers) and all(
        _kept(plan, cell, journal, known.records[key], number) for key, number in numbers.items()
    )
    if not scoring_only and not (restored and ready == lacking):
        return None
    return {key: columns for key, columns in ready.items() if columns}


def _restoring_job(
    spec: CellSpec, cell: RestorerCell, known: _Known, group: tuple[int, ...], repetition: int, foreseen: bool
) -> tuple[list[Job], list[Record]]:
    """Return the job that restores a group, or none if it cannot, and failures of images without a detection."""
    runnable, lost = _told(cell, group, repetition, known.detections, foreseen)
    if not runnable:
        return [], lost
    numbers, told = zip(*runnable, strict=True)
    ids = tuple(cell.data.samples[number].id for number in numbers)
    return [Job(spec, numbers, ids, "restore", repetition, told)], lost


def unscorable(plan: Plan, journal: Journal) -> tuple[Counter[str], Counter[str]]:
    """Count, by column, the restored images that lack a score which cannot be computed from their saved files.

    The first count is of images saved at 8 bits, for columns that need floats; the second of images whose file is
    gone.
    """
    rounded: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for cell in plan.restorer_cells:
        known = _Known(journal, cell, retry_failed=False)
        names = {sample.id for sample in cell.data.samples[: cell.data.wanted]}
        for key, record in known.records.items():
            lacking = known.missing(key) if key[0] in names and key[1] < cell.repetitions else ()
            ready = _scorable(plan, journal, record, lacking)
            saved = bool(record.output) and (journal.folder / record.output).is_file()
            (rounded if saved else gone).update(column.name for column in lacking if column not in ready)
    return rounded, gone


def outstanding(plan: Plan, journal: Journal, retry_failed: bool = False) -> tuple[Job, ...]:
    """List all groups that are still to be done, including those that wait for a detection."""
    restoring = restorer_jobs(plan, journal, retry_failed, foreseen=True).jobs
    return detector_jobs(plan, journal, retry_failed) + restoring


def _settled(record: Record | DetectionRecord | None, retry_failed: bool) -> bool:
    """Return whether a record needs no other run: it worked, or its failure would only come again."""
    if record is None:
        return False
    if record.status == OK:
        return True
    return not retry_failed and not (record.failure is not None and record.failure.transient)


def _kept(plan: Plan, cell: RestorerCell, journal: Journal, record: Record, number: int) -> bool:
    """Return whether the files that this run must keep exist."""
    if record.status != OK:
        return True
    if plan.suite.save == "all":
        output = journal.folder / (record.output or "none")
        exact = needs_floats(plan, cell)
        if not output.is_file() or (exact and not output.with_suffix(".npy").is_file()):
            return False
    if number < plan.suite.samples:
        name = triple_name(record.sample, cell.label, cell.tell, cell.digest)
        return (journal.folder / folder_of_triples(cell) / name).exists()
    return True


class _Known:
    """The records of one cell in the journal, and which of them need no other run."""

    def __init__(self, journal: Journal, cell: RestorerCell, retry_failed: bool) -> None:
        self.records = journal.records(cell.digest)
        self.detections = journal.detections(cell.told_by) if cell.told_by else {}
        self._scores = journal.scores(cell.digest)
        self._unscored = journal.unscored(cell.digest)
        self._columns = cell.columns
        self._retry_failed = retry_failed

    def settled(self, key: Key) -> bool:
        """Return whether an image itself, regardless of scores and files, need not be restored again."""
        record = self.records.get(key)
        if record is not None and record.failure is not None and record.failure.kind is FailureKind.DETECTOR:
            heard = self.detections.get(record.sample)
            return not self._retry_failed and (heard is None or heard.status != OK)
        return _settled(record, self._retry_failed)

    def missing(self, key: Key) -> tuple[ScoreColumn, ...]:
        """List the columns for which a restored image has no score, empty or not, and no final failure."""
        record = self.records.get(key)
        if record is None or record.status != OK:
            return ()
        scored, failed = self._scores.get(key, {}), self._unscored.get(key, {})
        return tuple(
            column
            for column in self._columns
            if column.digest not in scored and not (column.digest in failed and self._final(failed[column.digest]))
        )

    def _final(self, failure: Failure) -> bool:
        return not self._retry_failed and not failure.transient


def _scorable(
    plan: Plan, journal: Journal, record: Record | None, columns: tuple[ScoreColumn, ...]
) -> tuple[ScoreColumn, ...]:
    """Return the columns that can be scored on the saved image; an 8-bit file cannot serve a float protocol."""
    if record is None or not record.output:
        return ()
    saved = journal.folder / record.output
    if saved.with_suffix(".npy").is_file():
        return columns
    return tuple(c for c in columns if quantised(plan, c)) if saved.is_file() else ()


def _scoring_job(spec: CellSpec, key: Key, number: int, output: str, columns: tuple[ScoreColumn, ...]) -> Job:
    names = tuple(column.name for column in columns)
    return Job(
        replace(spec, kind="scores"),
        (number,),
        (key[0],),
        "score",
        key[1],
        (None,),
        columns=names,
        outputs=(output,),
    )


def _told(
    cell: RestorerCell,
    group: tuple[int, ...],
    repetition: int,
    detections: Mapping[str, DetectionRecord],
    foreseen: bool,
) -> tuple[list[tuple[int, Told | None]], list[Record]]:
    """Pair each sample with what its restorer is told; samples whose detection failed become failures."""
    runnable: list[tuple[int, Told | None]] = []
    lost: list[Record] = []
    for number in group:
        name = cell.data.samples[number].id
        if cell.tell == "nothing" or (foreseen and name not in detections):
            runnable.append((number, None))
        elif cell.tell == "task":
            labels = components(cell.data.task)
            runnable.append((number, Told(labels, dict.fromkeys(labels, 1.0))))
        elif (found := detections.get(name)) is not None and found.status == OK:
            runnable.append((number, Told(found.labels, found.probabilities)))
        else:
            why = found.reason if found is not None else "no detection"
            failure = Failure(FailureKind.DETECTOR, f"{cell.tell}: {why}")
            lost.append(Record(cell.digest, name, repetition, FAILED, failure))
    return runnable, lost
