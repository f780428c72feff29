"""The events that an engine reports during a run."""

from __future__ import annotations

from dataclasses import dataclass

from restorebench.records import FAILED, DetectionRecord, Failure, Record
from restorebench.worker.jobs import CellSpec, Job


@dataclass(frozen=True)
class Loaded:
    """A worker has loaded a cell's plugin. seconds: time that loading took."""

    cell: CellSpec
    parameters: int | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Done:
    """A job is done: one record per image, including failures.

    seconds: time that the worker needed, without loading. worker: its number.
    """

    job: Job
    records: tuple[Record | DetectionRecord, ...]
    seconds: float = 0.0
    worker: int = 0


@dataclass(frozen=True)
class Note:
    """A message to the user that is not a failure."""

    text: str


Event = Loaded | Done | Note


def failures(job: Job, why: Failure) -> tuple[Record | DetectionRecord, ...]:
    """Make a failure record for every image of a job."""
    if job.mode == "detect":
        return tuple(DetectionRecord(job.cell.digest, name, FAILED, why) for name in job.ids)
    told = [None if each is None else tuple(sorted(each.labels)) for each in job.told or [None] * len(job.ids)]
    return tuple(
        Record(job.cell.digest, name, job.repetition, FAILED, why, told=labels)
        for name, labels in zip(job.ids, told, strict=True)
    )
