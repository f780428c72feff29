"""What a worker has at hand for its jobs, and what is done when a part of a job fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypeVar

import torch

from restorebench.contract.errors import ContractViolation, RestorebenchError, UnreadableImage
from restorebench.contract.values import Sample
from restorebench.guest.reasons import GuestFailure, failure_of
from restorebench.records import FAILED, Failure, Record
from restorebench.worker import reading
from restorebench.worker.batches import labels
from restorebench.worker.jobs import Job, Setup
from restorebench.worker.loading import Shelf

Result = TypeVar("Result")
_OF_ONE_SAMPLE = (ContractViolation, UnreadableImage)


@dataclass
class Workplace:
    """Settings, device, loaded objects and recent samples. turn: held by what computes on the device."""

    setup: Setup
    device: torch.device
    shelf: Shelf
    recent: reading.RecentSamples = field(default_factory=reading.RecentSamples)
    turn: Lock = field(default_factory=Lock)

    @property
    def run_folder(self) -> Path:
        """The run folder."""
        return Path(self.setup.run_folder)

    def read(self, job: Job) -> tuple[dict[int, Sample], dict[int, Failure]]:
        """Read a job's samples, by their index in the job; return failures for those that cannot be read."""
        samples, unread = {}, {}
        for index, number in enumerate(job.samples):
            try:
                samples[index] = self.recent.read(job.cell.dataset, self.shelf.data, number)
            except Exception as error:
                if isinstance(error, RestorebenchError) and not isinstance(error, _OF_ONE_SAMPLE):
                    raise  # missing data: the user has to fix that before the run can go on
                traceback.print_exc()
                unread[index] = failure_of(error, "while reading: ")
        return samples, unread


def isolated(
    samples: Mapping[int, Sample],
    work: Callable[[Mapping[int, Sample]], Result],
    failed: Callable[[int, Failure], None],
) -> Iterator[Result]:
    """Work on a group; if it fails, on one image at a time, so that only the image that fails is lost.

    Yields what came of the group, or of each image that did not fail. `failed` is told of the others.
    """
    try:
        done = work(samples)
    except Exception as error:
        print_error(error)
        if len(samples) == 1:
            for index in samples:
                failed(index, failure_of(error))
            return
    else:
        yield done
        return
    for index, sample in samples.items():
        yield from isolated({index: sample}, work, failed)


def unrestored(job: Job, index: int, why: Failure) -> Record:
    """Return the record of an image that was not restored. index: in the job."""
    return Record(job.cell.digest, job.ids[index], job.repetition, FAILED, why, told=labels(job.told[index]))


def print_error(error: Exception) -> None:
    """Print where an error was raised; a guest has printed that of its method itself."""
    if not isinstance(error, GuestFailure):
        traceback.print_exc()
