"""The outcomes of a plan: its stored records and detections, in plan order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from restorebench.plan.plan import Plan
from restorebench.records import OK, WHOLE_IMAGE, DetectionRecord, Failure, Kept, Place, Record
from restorebench.tables.board import Board
from restorebench.tables.gathering import Gathering
from restorebench.tables.scored import Outcomes


def records(plan: Plan, kept: Kept) -> Iterator[Record]:
    """Yield the records of every wanted sample in plan order, with scores under their column names."""
    for cell in plan.restorer_cells:
        if cell.skipped:
            continue
        known, scores = kept.records(cell.digest), kept.scores(cell.digest)
        unscored = kept.unscored(cell.digest)
        for sample in cell.data.samples[: cell.data.wanted]:
            for repetition in range(cell.repetitions):
                if (record := known.get((sample.id, repetition))) is not None:
                    if record.status == OK:
                        found = scores.get((sample.id, repetition), {})
                        failed = unscored.get((sample.id, repetition), {})
                        why = {c.name: failed[c.digest] for c in cell.columns if c.digest in failed}
                        named = {column.name: found.get(column.digest) for column in cell.columns}
                        record = replace(record, scores=named, unscored=why)
                    yield record


def gathered(plan: Plan, board: Board, kept: Kept, failed_now: Mapping[Place, Failure]) -> dict[str, Outcomes]:
    """Return the outcomes of every cell as arrays, by digest; only one cell's records are in memory at a time.

    failed_now: images that this run could not restore, with the reasons. One that worked in an earlier run keeps
    its numbers, and has the failure too, unless a missing score already says why.
    """
    found: dict[str, Outcomes] = {}
    for cell, facts in zip(plan.restorer_cells, board.cells, strict=True):
        if cell.digest in found:
            continue
        gathering = Gathering(facts.samples, facts.repetitions)
        if not cell.skipped:
            for record in kept.records(cell.digest).values():
                gathering.put(record)
            for key, scores in kept.scores(cell.digest).items():
                gathering.put_scores(key, {c.name: scores[c.digest] for c in cell.columns if c.digest in scores})
            for (digest, sample, repetition), why in failed_now.items():
                if digest == cell.digest:
                    gathering.put_unscored((sample, repetition), {WHOLE_IMAGE: why})
            for key, failed in kept.unscored(cell.digest).items():
                gathering.put_unscored(key, {c.name: failed[c.digest] for c in cell.columns if c.digest in failed})
        found[cell.digest] = gathering.outcomes()
    return found


def detections(plan: Plan, kept: Kept) -> Iterator[DetectionRecord]:
    """Yield the detections of every wanted sample in plan order."""
    for cell in plan.detector_cells:
        known = kept.detections(cell.digest)
        for sample in cell.data.samples[: cell.data.wanted]:
            if (record := known.get(sample.id)) is not None:
                yield record
