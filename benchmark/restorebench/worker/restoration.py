"""A job that restores, in three steps: read and degrade, restore, score and save.

A worker does them one after the other, or in a pipeline, where three jobs are each in another step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restorebench.contract.errors import RunFolderError
from restorebench.contract.values import Sample
from restorebench.guest.reasons import failure_of
from restorebench.journal.layout import output_name, safe_name, triple_name
from restorebench.records import OK, Execution, Failure, Record, Values
from restorebench.toolbox import images
from restorebench.worker import checking, restoring
from restorebench.worker.batches import batch_of, labels
from restorebench.worker.jobs import Job
from restorebench.worker.messages import Recorded
from restorebench.worker.saving import save_output, save_triple
from restorebench.worker.scoring import ImageScores, score
from restorebench.worker.workplace import Workplace, isolated, print_error, unrestored

if TYPE_CHECKING:
    from restorebench.contract.values import Image


@dataclass(frozen=True)
class _Part:
    """What one call made of a whole group, or of one of its images. repeat, warm: as in `Record`."""

    samples: Mapping[int, Sample]
    degraded: Tensor
    result: restoring.Restored
    repeat: float | None
    warm: bool


class Restoration:
    """One job that restores. The steps are called in their order; each may be called by another thread."""

    def __init__(self, place: Workplace, job: Job) -> None:
        """Begin with nothing. place: its method, data and metrics are those of the job."""
        self._place = place
        self._job = job
        self._samples: Mapping[int, Sample] = {}
        self._parts: list[_Part] = []
        self._records: dict[int, Record] = {}

    def read(self) -> None:
        """Read and degrade the images; one that cannot be read fails alone."""
        self._samples, unread = self._place.read(self._job)
        for index, why in unread.items():
            self._failed(index, why)

    def restore(self) -> None:
        """Restore the images that were read."""
        if self._samples:
            self._parts = list(isolated(self._samples, self._restored, self._failed))
            self._place.shelf.warm = True

    def score(self) -> Recorded:
        """Score and save what was restored.

        Raises:
            RunFolderError: the disk is full or read-only.
        """
        for part in self._parts:
            self._score(part)
        self._parts, self._samples = [], {}
        records = tuple(self._records[index] for index in sorted(self._records))
        return Recorded(records, self._place.shelf.resident_mib())

    def _restored(self, samples: Mapping[int, Sample]) -> _Part:
        cell, shelf = self._job.cell, self._place.shelf
        batch = batch_of(self._job, samples)

        def once() -> restoring.Restored:
            with self._place.turn:
                return restoring.restore_by(shelf.method, cell.method, batch, cell.tile, cell.tile_overlap)

        result, repeat = once(), None
        if (
            self._place.setup.repeat and not shelf.warm
        ):  # the first batch of a method tells whether it repeats itself
            repeat = float((once().images - result.images).abs().max())
        return _Part(samples, batch.degraded, result, repeat, shelf.warm)

    def _score(self, part: _Part) -> None:
        cell, place, restored = self._job.cell, self._place, part.result.images
        values = checking.values(restored, part.degraded)
        execution = Execution(
            device=str(place.device),
            threads=place.setup.threads,
            batch_size=len(part.samples),
            fallback=part.result.fallback,
            batch_limit=cell.batch_size,
            unconfined=place.shelf.unconfined(cell),
            instructions=torch.backends.cpu.get_cpu_capability() if place.device.type == "cpu" else "",
        )
        scored = score(restored, list(part.samples.values()), place.shelf.metrics, place.device, place.turn)
        saved = images.from_tensor(restored) if cell.save or cell.triples else None
        for row, index in enumerate(part.samples):
            try:
                output = "" if saved is None else self._keep(index, part.samples[index], saved[row])
                self._records[index] = self._record(part, row, index, execution, scored[row], values[row], output)
            except RunFolderError:
                raise  # the plugin did not cause it, and every other image would fail in the same way
            except Exception as error:
                print_error(error)
                self._failed(index, failure_of(error))

    def _record(
        self,
        part: _Part,
        row: int,
        index: int,
        execution: Execution,
        scored: ImageScores,
        values: Values,
        output: str,
    ) -> Record:
        job, sample, count = self._job, part.samples[index], len(part.samples)
        return Record(
            digest=job.cell.digest,
            sample=job.ids[index],
            repetition=job.repetition,
            status=OK,
            told=labels(job.told[index]),
            scores=scored.values,
            unscored=scored.failures,
            parameters=dict(sample.parameters),
            degraded_digest=images.pixel_digest(sample.degraded),
            output=output,
            seconds=part.result.seconds / count,
            warm=part.warm,
            pixels=part.degraded.shape[-2] * part.degraded.shape[-1],
            peak_mib=part.result.peak_mib,
            execution=execution,
            inside=part.result.inside / count,
            values=values,
            repeat=part.repeat,
        )

    def _failed(self, index: int, why: Failure) -> None:
        self._records[index] = unrestored(self._job, index, why)

    def _keep(self, index: int, sample: Sample, restored: Image) -> str:
        """Save what the suite asks for; return the path of the restored image, "" if it is not saved."""
        job, cell, name, folder = self._job, self._job.cell, self._job.ids[index], self._place.run_folder
        if job.samples[index] < cell.triples:
            file = triple_name(name, cell.label, cell.tell, cell.digest)
            save_triple(folder, folder / cell.triples_folder, safe_name(name), sample, file, restored)
        if not cell.save:
            return ""
        path = folder / cell.save / output_name(name, job.repetition)
        save_output(folder, path, restored, cell.save_float)
        return str(path.relative_to(folder))
