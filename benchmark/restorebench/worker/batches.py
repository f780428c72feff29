"""Batches: what a restorer is given of a group of samples."""

from __future__ import annotations

from collections.abc import Mapping

from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Batch, Sample
from restorebench.guest.messages import Told
from restorebench.toolbox import images, seeding
from restorebench.worker.jobs import Job


def batch_of(job: Job, samples: Mapping[int, Sample]) -> Batch:
    """Return the batch of some samples of a job, by their index in it, on the CPU.

    Raises:
        ContractViolation: the restorer needs the clean image, and a sample has none.
    """
    card, chosen = job.cell.method, list(samples.values())
    degraded = images.to_tensor([sample.degraded for sample in chosen])
    clean = None
    if card.yardstick:
        if any(sample.clean is None for sample in chosen):
            raise ContractViolation(f"{job.cell.name} needs the clean image, and this data has none")
        clean = images.to_tensor([sample.clean for sample in chosen if sample.clean is not None])
    task = job.cell.dataset.task
    all_told = [job.told[index] for index in samples]
    return Batch(
        degraded=degraded,
        told=tuple(None if told is None else told.detection for told in all_told),
        keys=tuple(_noise_key(job, index) for index in samples),
        full_size=(degraded.shape[-2], degraded.shape[-1]),
        clean=clean,
        samples=tuple(f"{task}/{job.ids[index]}" for index in samples) if card.named else (),
    )


def labels(told: Told | None) -> tuple[str, ...] | None:
    """Return the labels that a restorer is told, sorted; None if it works blind."""
    return None if told is None else tuple(sorted(told.labels))


def _noise_key(job: Job, index: int) -> int:
    dataset = job.cell.dataset
    return seeding.key(dataset.seed, dataset.name, dataset.task, job.ids[index], job.repetition)
