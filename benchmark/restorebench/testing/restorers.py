"""Claims about restorers: sizes, keys, batches, tiles and detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench.contract.cards import Tiling
from restorebench.contract.errors import ContractViolation
from restorebench.contract.tasks import TEN_NAMES
from restorebench.contract.values import Batch, Detection
from restorebench.testing.subject import BATCH_TOLERANCE, SIZES, Subject, images_of, largest_difference
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.worker.restoring import Restored

TILING_TOLERANCE = 0.1
"""Largest change of a pixel by tiles that overlap by 32 px, on a smooth image, for Tiling.ALLOWED."""


def restores_every_size(subject: Subject) -> None:
    """Blind and told each task, any size gives a finite result of equal shape, dtype and device; input stays."""
    for height, width in SIZES:
        for told in _detections(subject):
            _restored(subject, _batch(subject, height, width, [told]))


def repeats_itself(subject: Subject) -> None:
    """The same batch with the same keys gives the same bytes."""
    batch = _mixed_batch(subject)
    first, second = (_restored(subject, batch).images for _ in range(2))
    subject.hold(
        bool((first == second).all()),
        f"the same batch and keys gave pixels that differ by up to {largest_difference(first, second):.2g}; "
        "draw from batch.keys (toolbox.seeding.normal), never from a global generator",
    )


def restores_each_image_alone(subject: Subject) -> None:
    """An image gets the same result in a batch and alone, within BATCH_TOLERANCE."""
    batch = _mixed_batch(subject)
    together = _restored(subject, batch).images
    for number, told in enumerate(batch.told):
        single = _batch(subject, *batch.full_size, [told], first=number)
        change = largest_difference(_restored(subject, single).images, together[number : number + 1])
        subject.hold(
            change <= BATCH_TOLERANCE,
            f"image {number} restored in a batch differs by {change:.2g} from itself restored alone; at most "
            f"{BATCH_TOLERANCE:g} is allowed: do not use statistics of the batch",
        )


def follows_its_keys(subject: Subject) -> None:
    """Other keys change the result if, and only if, the card says `stochastic=True`."""
    batch = _mixed_batch(subject)
    other = _batch(subject, *batch.full_size, batch.told, key=1000)
    change = largest_difference(_restored(subject, batch).images, _restored(subject, other).images)
    if subject.card.stochastic:
        subject.hold(change > 0, "the card says stochastic=True, but other keys gave the same result")
    else:
        subject.hold(
            change == 0,
            f"the card says stochastic=False, but other keys changed the result by up to {change:.2g}",
        )


def tiles_as_it_says(subject: Subject) -> None:
    """If the card says Tiling.ALLOWED, tiles change a smooth image by at most TILING_TOLERANCE."""
    if subject.card.tiling is not Tiling.ALLOWED:
        return
    multiple = subject.card.multiple_of
    tile = -(-max(64, 2 * multiple) // multiple) * multiple
    batch = _batch(subject, 2 * tile + 32, 2 * tile + 32, _detections(subject)[:1])
    change = largest_difference(_restored(subject, batch).images, _restored(subject, batch, tile, 32).images)
    subject.hold(
        change <= TILING_TOLERANCE,
        f"the card says Tiling.ALLOWED, but tiles of {tile} px changed a pixel by {change:.2g}; "
        f"at most {TILING_TOLERANCE:g} is allowed, otherwise say Tiling.HARMFUL",
    )


def copies_when_told_nothing(subject: Subject) -> None:
    """If the card says acts_when_told, a restorer that is told nothing returns its input."""
    if not subject.card.acts_when_told:
        return
    batch = _batch(subject, 40, 24, [None])
    change = largest_difference(_restored(subject, batch).images, batch.degraded)
    subject.hold(
        change == 0, f"the card says acts_when_told, but told nothing it changed a pixel by up to {change:.2g}"
    )


def _restored(subject: Subject, batch: Batch, tile: int | None = None, overlap: int = 0) -> Restored:
    """Restore as a worker does: with padding, checks of the contract, and a crop to the original size."""
    from restorebench.worker import restoring

    try:
        result = restoring.restore(subject.loaded, subject.card, batch, tile, overlap)
    except ContractViolation as error:
        count, (height, width) = len(batch.told), batch.full_size
        raise subject.violation(f"{error} (given {counted(count, 'image')} of {height} x {width} px)") from error
    subject.hold(not result.fallback, f"ran out of memory on {batch.full_size} px: {result.fallback}")
    return result


def _detections(subject: Subject) -> list[Detection | None]:
    """Return detections that a restorer may be told: None, one without labels, and one for each task."""
    blind: list[Detection | None] = [] if subject.card.needs_task else [None, Detection(frozenset())]
    return blind + [Detection(frozenset({task}), {task: 1.0}) for task in subject.card.tasks or TEN_NAMES]


def _mixed_batch(subject: Subject) -> Batch:
    """Return a batch of different images, each with a different detection."""
    return _batch(subject, 40, 24, _detections(subject))


def _batch(
    subject: Subject,
    height: int,
    width: int,
    told: Sequence[Detection | None],
    *,
    first: int = 0,
    key: int = 0,
) -> Batch:
    numbers = range(first, first + len(told))
    return Batch(
        degraded=images_of(subject, height, width, numbers, noise=0.02),
        told=tuple(told),
        keys=tuple(key + number for number in numbers),
        full_size=(height, width),
        clean=images_of(subject, height, width, numbers) if subject.card.yardstick else None,
        samples=tuple(f"noisy/{number}" for number in numbers) if subject.card.named else (),
    )


CLAIMS = (
    restores_every_size,
    repeats_itself,
    restores_each_image_alone,
    follows_its_keys,
    tiles_as_it_says,
    copies_when_told_nothing,
)
