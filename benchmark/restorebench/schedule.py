"""Plan and journal -> what is still to be done, and, at the end, every record in plan order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from restorebench.jobs import CellSpec, Job
from restorebench.journal import Journal, Key
from restorebench.layout import outputs_folder, triple_name, triples_folder
from restorebench.plan import DetectorCell, Plan, RestorerCell
from restorebench.records import FAILED, OK, TRANSIENT, DetectionRecord, Record
from restorebench.tasks import components


@dataclass(frozen=True)
class Todo:
    """Jobs to run, and failures that are known before anything runs."""

    jobs: tuple[Job, ...]
    failures: tuple[Record, ...] = ()


def detector_jobs(plan: Plan, journal: Journal, retry_failed: bool = False) -> tuple[Job, ...]:
    """List the groups whose detections are missing, or failed in a way worth another try."""
    jobs = []
    for cell in plan.detector_cells:
        known = journal.detections(cell.digest)
        spec = _detector_spec(plan, cell)
        for group in cell.data.groups:
            ids = tuple(cell.data.samples[place].id for place in group)
            if not all(_settled(known.get(name), retry_failed) for name in ids):
                jobs.append(Job(spec, group, ids, "detect", told=(None,) * len(ids)))
    return tuple(jobs)


def restorer_jobs(plan: Plan, journal: Journal, retry_failed: bool = False, scoring_only: bool = False) -> Todo:
    """List the groups that are not restored yet, and those that only lack scores.

    scoring_only: leave out the former; a float column of an image saved at 8 bits then stays empty.
    """
    jobs: list[Job] = []
    unfounded: list[Record] = []
    for cell in plan.restorer_cells:
        if cell.skipped:
            continue
        records, scores = journal.records(cell.digest), journal.scores(cell.digest)
        detections = journal.detections(cell.told_by) if cell.told_by else {}
        spec = _restorer_spec(plan, cell)
        for repetition, group in product(range(cell.repetitions), cell.data.groups):
            keys = [(cell.data.samples[place].id, repetition) for place in group]
            settled = all(_settled(records.get(key), retry_failed) for key in keys)
            pairs = zip(keys, group, strict=True)
            if settled and (scoring_only or all(_kept(plan, cell, journal, records[k], at) for k, at in pairs)):
                jobs += _scoring_jobs(spec, cell, group, keys, records, scores)
                if not _must_restore(cell, keys, records, scores):
                    continue
            if scoring_only:
                continue
            runnable, lost = _told(cell, group, repetition, detections)
            unfounded += lost
            if runnable:
                places, told = zip(*runnable, strict=True)
                ids = tuple(cell.data.samples[place].id for place in places)
                jobs.append(Job(spec, places, ids, "restore", repetition, told))
    return Todo(tuple(jobs), tuple(unfounded))


def records(plan: Plan, journal: Journal) -> Iterator[Record]:
    """Yield the records of every wanted sample in plan order, with scores under their column names."""
    for cell in plan.restorer_cells:
        if cell.skipped:
            continue
        known, scores = journal.records(cell.digest), journal.scores(cell.digest)
        for sample in cell.data.samples[: cell.data.wanted]:
            for repetition in range(cell.repetitions):
                if (record := known.get((sample.id, repetition))) is not None:
                    found = scores.get((sample.id, repetition), {})
                    named = {column.name: found.get(column.digest) for column in cell.columns}
                    yield replace(record, scores=named if record.status == OK else {})


def detections(plan: Plan, journal: Journal) -> Iterator[DetectionRecord]:
    """Yield the detections of every wanted sample in plan order."""
    for cell in plan.detector_cells:
        known = journal.detections(cell.digest)
        for sample in cell.data.samples[: cell.data.wanted]:
            if (record := known.get(sample.id)) is not None:
                yield record


def score_digests(plan: Plan) -> dict[str, str]:
    """Return the digest of every column by its name."""
    return {column.name: column.digest for column in plan.columns}


def _settled(record: Record | DetectionRecord | None, retry_failed: bool) -> bool:
    """Tell whether a record needs no other run: it worked, or its failure would only come again."""
    if record is None:
        return False
    if record.status == OK:
        return True
    return not retry_failed and record.reason.split(":", 1)[0] not in TRANSIENT


def _kept(plan: Plan, cell: RestorerCell, journal: Journal, record: Record, place: int) -> bool:
    """Tell whether the files this run asks to keep are there."""
    if record.status != OK:
        return True
    if plan.suite.save == "all":
        output = journal.folder / (record.output or "none")
        exact = _needs_floats(plan, cell)
        if not output.is_file() or (exact and not output.with_suffix(".npy").is_file()):
            return False
    if place < plan.suite.samples:
        name = triple_name(record.sample, cell.label, cell.tell)
        return (journal.folder / triples_folder(cell.data.label, cell.data.task) / name).exists()
    return True


def _missing(
    cell: RestorerCell, key: Key, records: Mapping[Key, Record], scores: Mapping[Key, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Name the columns an image has no score for, not even an empty one."""
    if records[key].status != OK:
        return ()
    found = scores.get(key, {})
    return tuple(column.name for column in cell.columns if column.digest not in found)


def _must_restore(
    cell: RestorerCell,
    keys: Iterable[Key],
    records: Mapping[Key, Record],
    scores: Mapping[Key, Mapping[str, Any]],
) -> bool:
    return any(_missing(cell, key, records, scores) and not records[key].output for key in keys)


def _scoring_jobs(
    spec: CellSpec,
    cell: RestorerCell,
    group: tuple[int, ...],
    keys: list[Key],
    records: Mapping[Key, Record],
    scores: Mapping[Key, Mapping[str, Any]],
) -> list[Job]:
    """Score saved outputs under the columns they lack."""
    jobs = []
    if _must_restore(cell, keys, records, scores):
        return []
    for key, place in zip(keys, group, strict=True):
        if columns := _missing(cell, key, records, scores):
            output = records[key].output
            jobs.append(
                Job(spec, (place,), (key[0],), "score", key[1], (None,), columns=columns, outputs=(output,))
            )
    return jobs


def _told(
    cell: RestorerCell, group: tuple[int, ...], repetition: int, detections: Mapping[str, DetectionRecord]
) -> tuple[list[tuple[int, Mapping[str, Any] | None]], list[Record]]:
    """Pair each sample with what its restorer is told; samples whose detection failed are failures."""
    runnable: list[tuple[int, Mapping[str, Any] | None]] = []
    lost: list[Record] = []
    for place in group:
        name = cell.data.samples[place].id
        if cell.tell == "nothing":
            runnable.append((place, None))
        elif cell.tell == "task":
            labels = components(cell.data.task)
            runnable.append((place, {"labels": labels, "probabilities": dict.fromkeys(labels, 1.0)}))
        elif (found := detections.get(name)) is not None and found.status == OK:
            runnable.append((place, {"labels": found.labels, "probabilities": found.probabilities}))
        else:
            why = found.reason if found is not None else "no detection"
            lost.append(Record(cell.digest, name, repetition, FAILED, f"detector: {cell.tell}: {why}"))
    return runnable, lost


def _dataset(plan: Plan, cell: RestorerCell | DetectorCell) -> dict[str, Any]:
    data = cell.data
    return {
        "name": data.name,
        "label": data.label,
        "options": data.options,
        "task": data.task,
        "seed": plan.suite.seed,
    }


def _detector_spec(plan: Plan, cell: DetectorCell) -> CellSpec:
    name = cell.entry.card.name
    return CellSpec(
        digest=cell.digest,
        kind="detector",
        name=name,
        label=name,
        options=cell.options,
        sources=plan.sources(cell),
        dataset=_dataset(plan, cell),
    )


def _restorer_spec(plan: Plan, cell: RestorerCell) -> CellSpec:
    suite = plan.suite
    folder = outputs_folder(cell.data.label, cell.data.task, cell.label, cell.tell, cell.digest)
    return CellSpec(
        digest=cell.digest,
        kind="restorer",
        name=cell.card.name,
        label=cell.label,
        options=cell.options,
        sources=plan.sources(cell),
        dataset=_dataset(plan, cell),
        columns=[(column.name, column.metric, column.protocol) for column in cell.columns],
        tell=cell.tell,
        tile=suite.tile,
        tile_overlap=suite.tile_overlap,
        save=folder if suite.save == "all" else "",
        save_float=suite.save == "all" and _needs_floats(plan, cell),
        triples=suite.samples,
    )


def _needs_floats(plan: Plan, cell: RestorerCell) -> bool:
    """Tell whether a column looks at the output before it is rounded to 8 bits."""
    protocols = [plan.catalog.find("metric", c.metric).protocol(c.protocol) for c in cell.columns]
    return any(not protocol.quantised for protocol in protocols if protocol is not None)
