"""The steps from a job to its records: read, restore or detect, score, save."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from restorebench.contract.errors import ContractViolation, RestorebenchError, RunFolderError, UnreadableImage
from restorebench.contract.values import Batch, Sample
from restorebench.guest.calling import checked
from restorebench.guest.reasons import GuestFailure, failure_of
from restorebench.journal.layout import output_name, safe_name, triple_name
from restorebench.records import FAILED, OK, DetectionRecord, Execution, Failure, Record
from restorebench.toolbox import images
from restorebench.worker import checking, reading, restoring
from restorebench.worker.batches import batch_of, labels
from restorebench.worker.hosting import Host
from restorebench.worker.jobs import CellSpec, Job, Setup
from restorebench.worker.loading import Shelf
from restorebench.worker.messages import Answer, Detected, Failed, Ready, Recorded, Refused
from restorebench.worker.saving import save_output, save_triple
from restorebench.worker.scoring import score

if TYPE_CHECKING:
    from restorebench.contract.values import Image

Outcome = TypeVar("Outcome", Record, DetectionRecord)
_OF_ONE_SAMPLE = (ContractViolation, UnreadableImage)


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
        self.setup = setup
        torch.set_num_threads(setup.threads)
        # TensorFloat-32 keeps 10 of the 23 bits of a float's fraction, but the records say `float32`.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.device = torch.device(setup.device)
        self.run_folder = Path(setup.run_folder)
        self._shelf = Shelf(setup, self.device, None if server is None else Host(server, self.device))
        self._recent = reading.RecentSamples()

    def handle(self, request: CellSpec | Job) -> Answer:
        """Load a cell, or do a job; errors become answers and never escape."""
        try:
            return self._load(request) if isinstance(request, CellSpec) else self._run(request)
        except RestorebenchError as error:
            return Refused(type(error).__name__, str(error))
        except Exception as error:
            traceback.print_exc()
            return Failed(failure_of(error))

    def _load(self, cell: CellSpec) -> Answer:
        """Load what a cell needs. A plugin's error fails the cell; an error in the data is for the user to fix."""
        self._shelf.prepare(cell)
        if cell.kind == "scores":
            return Ready(None)
        try:
            parameters = self._shelf.take_method(cell)
        except Exception as error:
            _print(error)
            return Failed(failure_of(error, "while loading: "))
        return Ready(parameters)

    def _run(self, job: Job) -> Answer:
        """Do a job's images; an image that cannot be read fails alone."""
        samples, unread = self._read(job)
        if job.mode == "detect":
            detections = {index: self._undetected(job, index, why) for index, why in unread.items()}
            if samples:
                detections |= self._isolated(job, samples, self._detect, self._undetected)
                self._shelf.warm = True
            return Detected(_in_order(detections), self._shelf.resident_mib())
        records = {index: self._unrestored(job, index, why) for index, why in unread.items()}
        if job.mode == "score":
            records |= self._rescore(job, samples)
        elif samples:
            records |= self._isolated(job, samples, self._restore, self._unrestored)
            self._shelf.warm = True
        return Recorded(_in_order(records), self._shelf.resident_mib())

    def _read(self, job: Job) -> tuple[dict[int, Sample], dict[int, Failure]]:
        """Read a job's samples, by their index in the job; return failures for those that cannot be read."""
        samples, unread = {}, {}
        for index, number in enumerate(job.samples):
            try:
                samples[index] = self._recent.read(job.cell.dataset, self._shelf.data, number)
            except Exception as error:
                if isinstance(error, RestorebenchError) and not isinstance(error, _OF_ONE_SAMPLE):
                    raise  # missing data: the user has to fix that before the run can go on
                traceback.print_exc()
                unread[index] = failure_of(error, "while reading: ")
        return samples, unread

    def _isolated(
        self,
        job: Job,
        samples: Mapping[int, Sample],
        work: Callable[[Job, Mapping[int, Sample]], dict[int, Outcome]],
        failed: Callable[[Job, int, Failure], Outcome],
    ) -> dict[int, Outcome]:
        """Work on a group; if it fails, on one image at a time, so that only the image that fails is lost."""
        try:
            return work(job, samples)
        except RunFolderError:
            raise  # the plugin did not cause it, and every other image would fail in the same way
        except Exception as error:
            _print(error)
            if len(samples) == 1:
                return {index: failed(job, index, failure_of(error)) for index in samples}
        outcomes: dict[int, Outcome] = {}
        for index, sample in samples.items():
            outcomes |= self._isolated(job, {index: sample}, work, failed)
        return outcomes

    def _restore(self, job: Job, samples: Mapping[int, Sample]) -> dict[int, Record]:
        cell = job.cell
        chosen = list(samples.values())
        batch = batch_of(job, samples)
        result, repeat = self._restored(cell, batch)
        described = checking.values(result.images, batch.degraded)
        execution = Execution(
            device=str(self.device),
            threads=self.setup.threads,
            batch_size=len(samples),
            fallback=result.fallback,
            batch_limit=cell.batch_size,
            unconfined=self._shelf.unconfined or _shared(cell),
            instructions=torch.backends.cpu.get_cpu_capability() if self.device.type == "cpu" else "",
        )
        scored = score(result.images, chosen, self._shelf.metrics, self.device)
        restored = images.from_tensor(result.images) if cell.save or cell.triples else []
        records = {}
        for row, index in enumerate(samples):
            records[index] = Record(
                digest=cell.digest,
                sample=job.ids[index],
                repetition=job.repetition,
                status=OK,
                told=labels(job.told[index]),
                scores=scored[row].values,
                unscored=scored[row].failures,
                parameters=dict(chosen[row].parameters),
                degraded_digest=images.pixel_digest(chosen[row].degraded),
                output=self._keep(job, index, chosen[row], restored[row]) if restored else "",
                seconds=result.seconds / len(samples),
                warm=self._shelf.warm,
                pixels=batch.full_size[0] * batch.full_size[1],
                peak_mib=result.peak_mib,
                execution=execution,
                inside=result.inside / len(samples),
                values=described[row],
                repeat=repeat,
            )
        return records

    def _restored(self, cell: CellSpec, batch: Batch) -> tuple[restoring.Restored, float | None]:
        """Restore a batch; return with it by how much a second try differs, if it is the first one of a method."""

        def once() -> restoring.Restored:
            return restoring.restore_by(self._shelf.method, cell.method, batch, cell.tile, cell.tile_overlap)

        result = once()
        if self._shelf.warm or not self.setup.repeat:
            return result, None
        return result, float((once().images - result.images).abs().max())

    def _keep(self, job: Job, index: int, sample: Sample, restored: Image) -> str:
        """Save what the suite asks for; return the path of the restored image, "" if it is not saved."""
        cell, name = job.cell, job.ids[index]
        if job.samples[index] < cell.triples:
            file = triple_name(name, cell.label, cell.tell, cell.digest)
            save_triple(self.run_folder / cell.triples_folder, safe_name(name), sample, file, restored)
        return self._save(job, index, restored) if cell.save else ""

    def _unrestored(self, job: Job, index: int, why: Failure) -> Record:
        return Record(
            job.cell.digest,
            job.ids[index],
            job.repetition,
            FAILED,
            why,
            told=labels(job.told[index]),
        )

    def _detect(self, job: Job, samples: Mapping[int, Sample]) -> dict[int, DetectionRecord]:
        cell = job.cell
        seen = [images.resized(sample.degraded, cell.resize) for sample in samples.values()]
        found = checked(cell.method.tasks, self._shelf.method.detect(images.to_tensor(seen)))
        return {
            index: DetectionRecord(
                digest=cell.digest,
                sample=job.ids[index],
                status=OK,
                labels=tuple(sorted(detection.labels)),
                probabilities=detection.probabilities,
            )
            for index, detection in zip(samples, found, strict=True)
        }

    def _undetected(self, job: Job, index: int, why: Failure) -> DetectionRecord:
        return DetectionRecord(job.cell.digest, job.ids[index], FAILED, why)

    def _rescore(self, job: Job, samples: Mapping[int, Sample]) -> dict[int, Record]:
        """Score saved outputs under the columns that a job asks for, from the unrounded file if there is one."""
        records = {}
        asked = {name: self._shelf.metrics[name] for name in job.columns}
        for index, sample in samples.items():
            path = self.run_folder / job.outputs[index]
            exact = path.with_suffix(".npy")
            restored = np.load(exact, allow_pickle=False) if exact.exists() else images.read(path)
            batch = images.to_tensor([restored]).to(self.device)
            (found,) = score(batch, [sample], asked, self.device)
            records[index] = Record(
                job.cell.digest,
                job.ids[index],
                job.repetition,
                OK,
                scores=found.values,
                unscored=found.failures,
            )
        return records

    def _save(self, job: Job, index: int, restored: Image) -> str:
        cell = job.cell
        path = self.run_folder / cell.save / output_name(job.ids[index], job.repetition)
        save_output(path, restored, cell.save_float)
        return str(path.relative_to(self.run_folder))


def _shared(cell: CellSpec) -> str:
    """Return why a guest cannot keep a cell's method apart; "" if it can. Code without a name is our own."""
    shared = cell.method.code and cell.method.source in cell.sources
    return "its plugin also gives the data or metrics" if shared else ""


def _print(error: Exception) -> None:
    """Print where an error was raised; a guest has printed that of its method itself."""
    if not isinstance(error, GuestFailure):
        traceback.print_exc()


def _in_order(outcomes: Mapping[int, Outcome]) -> tuple[Outcome, ...]:
    return tuple(outcomes[index] for index in sorted(outcomes))
