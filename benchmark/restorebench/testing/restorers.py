"""Claims about restorers: sizes, keys, batches, tiles and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench.contract.cards import Tiling
from restorebench.contract.errors import ContractViolation
from restorebench.contract.tasks import TEN_NAMES
from restorebench.contract.values import Batch, Detection
from restorebench.testing.subject import BATCH_TOLERANCE, SIZES, Subject, images_of, largest_difference

if TYPE_CHECKING:
    from restorebench.worker.restoring import Restored

TILING_TOLERANCE = 0.1
"""Largest change of a pixel that tiles overlapping by 32 px may make on a smooth image, for Tiling.ALLOWED."""


def restores_every_size(subject: Subject) -> None:
    """Blind and told each task, any size comes back with its shape, dtype and device, finite, input unwritten."""
    for height, width in SIZES:
        for told in _tellings(subject):
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
    """An image restored in a batch is the image restored alone, within BATCH_TOLERANCE."""
    batch = _mixed_batch(subject)
    together = _restored(subject, batch).images
    for place, told in enumerate(batch.told):
        single = _batch(subject, *batch.full_size, [told], first=place)
        change = largest_difference(_restored(subject, single).images, together[place : place + 1])
        subject.hold(
            change <= BATCH_TOLERANCE,
            f"image {place} of a batch differs by {change:.2g} from itself restored alone; "
            f"at most {BATCH_TOLERANCE:g} is allowed, so no statistics over the batch",
        )


def follows_its_keys(subject: Subject) -> None:
    """Other keys change the result exactly where the card says `stochastic=True`."""
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
    """Where the card says Tiling.ALLOWED, tiles change a smooth image by no more than TILING_TOLERANCE."""
    if subject.card.tiling is not Tiling.ALLOWED:
        return
    multiple = subject.card.multiple_of
    tile = -(-max(64, 2 * multiple) // multiple) * multiple
    batch = _batch(subject, 2 * tile + 32, 2 * tile + 32, _tellings(subject)[:1])
    change = largest_difference(_restored(subject, batch).images, _restored(subject, batch, tile, 32).images)
    subject.hold(
        change <= TILING_TOLERANCE,
        f"the card says Tiling.ALLOWED, but tiles of {tile} px changed a pixel by {change:.2g}; "
        f"at most {TILING_TOLERANCE:g} is allowed, else say Tiling.HARMFUL",
    )


def copies_when_told_nothing(subject: Subject) -> None:
    """Where the card says acts_when_told, the input comes back from a restorer that was told nothing."""
    if not subject.card.acts_when_told:
        return
    batch = _batch(subject, 40, 24, [None])
    change = largest_difference(_restored(subject, batch).images, batch.degraded)
    subject.hold(
        change == 0, f"the card says acts_when_told, but told nothing it changed a pixel by up to {change:.2g}"
    )


def _restored(subject: Subject, batch: Batch, tile: int | None = None, overlap: int = 0) -> Restored:
    """Restore as a worker does: padded, watched, and cut back to size."""
    from restorebench.worker import restoring

    try:
        result = restoring.restore(subject.loaded, subject.card, batch, tile, overlap)
    except ContractViolation as error:
        count, (height, width) = len(batch.told), batch.full_size
        raise subject.violation(f"{error} (given {count} images of {height} x {width} px)") from error
    subject.hold(not result.fallback, f"ran out of memory on {batch.full_size} px: {result.fallback}")
    return result


def _tellings(subject: Subject) -> list[Detection | None]:
    """Return what a restorer may be told: nothing, nothing found, or one task each."""
    blind: list[Detection | None] = [] if subject.card.needs_task else [None, Detection(frozenset())]
    return blind + [Detection(frozenset({task}), {task: 1.0}) for task in subject.card.tasks or TEN_NAMES]


def _mixed_batch(subject: Subject) -> Batch:
    """Make a batch in which every image is another one and is told something else."""
    return _batch(subject, 40, 24, _tellings(subject))


def _batch(
    subject: Subject,
    height: int,
    width: int,
    told: Sequence[Detection | None],
    *,
    first: int = 0,
    key: int = 0,
) -> Batch:
    places = range(first, first + len(told))
    return Batch(
        degraded=images_of(subject, height, width, places, noise=0.02),
        told=tuple(told),
        keys=tuple(key + place for place in places),
        full_size=(height, width),
        clean=images_of(subject, height, width, places) if subject.card.yardstick else None,
        samples=tuple(f"noisy/{place}" for place in places) if subject.card.named else (),
    )


CLAIMS = (
    restores_every_size,
    repeats_itself,
    restores_each_image_alone,
    follows_its_keys,
    tiles_as_it_says,
    copies_when_told_nothing,
)
