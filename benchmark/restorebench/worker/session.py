"""The work of a worker: it loads cells, and turns jobs into records."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from restorebench.contract.errors import RestorebenchError
from restorebench.contract.values import Sample
from restorebench.guest.calling import checked
from restorebench.guest.reasons import failure_of
from restorebench.records import FAILED, OK, DetectionRecord, Failure, Record
from restorebench.toolbox import images
from restorebench.worker.hosting import Host
from restorebench.worker.jobs import CellSpec, Job, Setup
from restorebench.worker.loading import Shelf
from restorebench.worker.messages import Answer, Detected, Failed, Ready, Recorded, Refused
from restorebench.worker.restoration import Restoration
from restorebench.worker.scoring import score
from restorebench.worker.workplace import Workplace, isolated, print_error, unrestored

Done = TypeVar("Done")


def devices() -> list[str]:
    """Name the devices this process can use, the CPU first."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return found


class Session:
    """A worker's session: it turns jobs into records, and keeps plugins, data and metrics loaded in between."""

    def __init__(self, setup: Setup, server: socket.socket | None = None) -> None:
        """Begin. server: of guests, from `guest.server.begin`; without it, methods are loaded in this process."""
        torch.set_num_threads(setup.threads)
        # TensorFloat-32 keeps 10 of the 23 bits of a float's fraction, but the records say `float32`.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        device = torch.device(setup.device)
        shelf = Shelf(setup, device, None if server is None else Host(server, device))
        self._place = Workplace(setup, device, shelf)

    def handle(self, request: CellSpec | Job) -> Answer:
        """Load a cell, or do a job; errors become answers and never escape."""
        return answered(lambda: self._load(request) if isinstance(request, CellSpec) else self._run(request))

    def restoration(self, job: Job) -> Restoration:
        """Return a job that restores, whose steps are still to be done."""
        return Restoration(self._place, job)

    def _load(self, cell: CellSpec) -> Answer:
        """Load what a cell needs. A plugin's error fails the cell; an error in the data is for the user to fix."""
        self._place.shelf.prepare(cell)
        if cell.kind == "scores":
            return Ready(None)
        try:
            parameters = self._place.shelf.take_method(cell)
        except Exception as error:
            print_error(error)
            return Failed(failure_of(error, "while loading: "))
        return Ready(parameters)

    def _run(self, job: Job) -> Answer:
        if job.mode == "detect":
            return self._detect(job)
        if job.mode == "score":
            return self._rescore(job)
        work = self.restoration(job)
        work.read()
        work.restore()
        return work.score()

    def _detect(self, job: Job) -> Detected:
        """Name the degradations of a job's images."""
        cell, shelf = job.cell, self._place.shelf
        records: dict[int, DetectionRecord] = {}

        def failed(index: int, why: Failure) -> None:
            records[index] = DetectionRecord(cell.digest, job.ids[index], FAILED, why)

        def found(samples: Mapping[int, Sample]) -> dict[int, DetectionRecord]:
            seen = [images.resized(sample.degraded, cell.resize) for sample in samples.values()]
            given = checked(cell.method.tasks, shelf.method.detect(images.to_tensor(seen)))
            return {
                index: DetectionRecord(
                    digest=cell.digest,
                    sample=job.ids[index],
                    status=OK,
                    labels=tuple(sorted(detection.labels)),
                    probabilities=detection.probabilities,
                    unconfined=shelf.unconfined(cell),
                )
                for index, detection in zip(samples, given, strict=True)
            }

        samples, unread = self._place.read(job)
        for index, why in unread.items():
            failed(index, why)
        if samples:
            for each in isolated(samples, found, failed):
                records |= each
            shelf.warm = True
        return Detected(tuple(records[index] for index in sorted(records)), shelf.resident_mib())

    def _rescore(self, job: Job) -> Recorded:
        """Score saved outputs under the columns that a job asks for, from the unrounded file if there is one."""
        place = self._place
        asked = {name: place.shelf.metrics[name] for name in job.columns}
        samples, unread = place.read(job)
        records = {index: unrestored(job, index, why) for index, why in unread.items()}
        for index, sample in samples.items():
            path = place.run_folder / job.outputs[index]
            exact = path.with_suffix(".npy")
            restored = np.load(exact, allow_pickle=False) if exact.exists() else images.read(path)
            batch = images.to_tensor([restored]).to(place.device)
            (found,) = score(batch, [sample], asked, place.device, place.turn)
            records[index] = Record(
                job.cell.digest,
                job.ids[index],
                job.repetition,
                OK,
                scores=found.values,
                unscored=found.failures,
            )
        return Recorded(tuple(records[index] for index in sorted(records)), place.shelf.resident_mib())


def answered(work: Callable[[], Done]) -> Done | Refused | Failed:
    """Do a piece of work, and return what it returns; an error becomes an answer."""
    try:
        return work()
    except RestorebenchError as error:
        return Refused(type(error).__name__, str(error))
    except Exception as error:
        traceback.print_exc()
        return Failed(failure_of(error))
