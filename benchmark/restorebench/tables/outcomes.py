"""The outcomes of a plan: its stored records and detections, in plan order."""

from __future__ import annotations

from collections.abc import Iterator

from restorebench.plan.plan import Plan
from restorebench.records import OK, DetectionRecord, Kept, Record


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
                        # Twice as fast as dataclasses.replace, of which a large run needs a million.
                        record = Record(**(vars(record) | {"scores": named, "unscored": why}))
                    yield record


def detections(plan: Plan, kept: Kept) -> Iterator[DetectionRecord]:
    """Yield the detections of every wanted sample in plan order."""
    for cell in plan.detector_cells:
        known = kept.detections(cell.digest)
        for sample in cell.data.samples[: cell.data.wanted]:
            if (record := known.get(sample.id)) is not None:
                yield record
