"""Training samples as a function of their number: the same in any process, and after any interruption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox import images
from restorebench.toolbox.seeding import generator
from restorebench.training.config import Training
from restorebench.training.sources import Pair, Source

if TYPE_CHECKING:
    from restorebench.contract.values import Image

KILLED = (
    "a process that prepares data was killed, often for lack of memory; the same command, perhaps with fewer"
    " `workers`, goes on from the last checkpoint"
)
"""The message when torch reports that a process of a loader was killed."""


class Pairs:
    """The pair of every sample: tasks in turn, a share of the inputs left clean, pairs reused as configured.

    A reused pair stays in the memory of the process that needs it, in 8 bits if that loses nothing. The pair of
    sample n does not depend on the process. The slots change their pairs at evenly spread sample numbers.
    """

    def __init__(self, source: Source, options: Training) -> None:
        self.source, self.seed = source, options.seed
        self.clean_share, self.reuse = options.data.clean_share, options.data.reuse
        self._held: dict[int, tuple[int, Pair]] = {}

    def number(self, sample: int) -> int:
        """Return the number of a sample's pair; equal numbers mean equal pairs."""
        if self.reuse is None:
            return sample
        slots, uses = self.reuse.slots, self.reuse.uses
        slot, visit = sample % slots, sample // slots
        return (visit + slot * uses // slots) // uses * slots + slot

    def __getitem__(self, sample: int) -> Pair:
        number = self.number(sample)
        if self.reuse is None:
            return self._drawn(number)
        slot = sample % self.reuse.slots
        if self._held.get(slot, (-1,))[0] != number:
            pair = self._drawn(number)
            self._held[slot] = number, replace(pair, degraded=_packed(pair.degraded), clean=_packed(pair.clean))
        pair = self._held[slot][1]
        return replace(pair, degraded=_unpacked(pair.degraded), clean=_unpacked(pair.clean))

    def _drawn(self, number: int) -> Pair:
        rng = generator(self.seed, "pair", number)
        pair = self.source.pair(number % len(self.source.tasks), rng)
        if rng.random() >= self.clean_share:
            return pair
        return replace(pair, degraded=pair.clean, task=len(self.source.tasks))


def _packed(image: Any) -> Any:
    small = images.to_8bit(image)
    return small if np.array_equal(_unpacked(small), image) else image


def _unpacked(held: Any) -> Image:
    image: Image = held.astype(np.float32) / 255 if held.dtype == np.uint8 else held
    return image


class Patches(Dataset[dict[str, Any]]):
    """Random patches, flipped and transposed if `turn`; sample n is a function of the seed and n."""

    def __init__(self, pairs: Pairs, patch: int, turn: bool = True) -> None:
        self.pairs, self.patch, self.turn = pairs, patch, turn

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.cut(self.pairs[number], number)

    def cut(self, pair: Pair, number: int) -> dict[str, Any]:
        """Cut the patch of sample `number` out of its pair."""
        rng = generator(self.pairs.seed, "sample", number)
        degraded, clean = cut_patch(pair.degraded, pair.clean, self.patch, self.turn, rng)
        return {"degraded": tensor(degraded), "clean": tensor(clean), "task": pair.task, "number": number}


def cut_patch(
    degraded: Image, clean: Image, side: int, turn: bool, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Cut the same square out of both; if `turn`, flip each axis and transpose, each with probability 1/2."""
    height, width = clean.shape[:2]
    if min(height, width) < side:
        pad = [(0, max(side - height, 0)), (0, max(side - width, 0)), (0, 0)]
        degraded, clean = (np.pad(image, pad, mode="symmetric") for image in (degraded, clean))
        height, width = clean.shape[:2]
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    window = (slice(top, top + side), slice(left, left + side))
    down, across, turned = (rng.random(3) < 0.5) & turn

    def view(image: Image) -> Image:
        part = image[window][:: -1 if down else 1, :: -1 if across else 1]
        return np.ascontiguousarray(part.transpose(1, 0, 2) if turned else part)

    return view(degraded), view(clean)


def tensor(image: Image) -> Tensor:
    """Return an (H, W, 3) image as a (3, H, W) tensor."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def batches(
    samples: Dataset[dict[str, Any]], size: int, first: int, rank: int, world: int, workers: int
) -> Iterator[dict[str, Any]]:
    """Yield batches without end, from batch `first` on; each process of a world gets its own samples.

    Raises:
        RestorebenchError: a sample cannot be read, or a process that prepares data was killed.
    """

    def numbers() -> Iterator[list[int]]:
        batch = first
        while True:
            start = (batch * world + rank) * size
            yield list(range(start, start + size))
            batch += 1

    loader = DataLoader(
        _ErrorsAsValues(samples),
        batch_sampler=numbers(),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collated,
    )
    for batch in _received(loader):
        if isinstance(batch, RestorebenchError):
            raise batch
        yield batch


def _received(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield a loader's batches; raise a one-line error if its process dies while it passes one on."""
    given = iter(loader)
    while True:
        try:
            batch = next(given)
        except StopIteration:
            return
        except (ConnectionError, EOFError) as error:
            raise RestorebenchError(KILLED) from error
        yield batch


@contextmanager
def watched() -> Iterator[None]:
    """Raise a one-line error if a process of a loader is killed, which happens when memory runs out.

    A signal handler raises torch's error, so any line may raise it: put the whole training inside this block.
    """
    try:
        yield
    except RuntimeError as error:
        if not tells_of_a_loader(error):
            raise
        raise RestorebenchError(KILLED) from error


def tells_of_a_loader(error: RuntimeError) -> bool:
    """Tell whether an error is torch's report of a killed loader process, even if closing a file has hidden it."""
    return "DataLoader worker" in f"{error} {error.__context__}"


class _ErrorsAsValues(Dataset[dict[str, Any] | RestorebenchError]):
    """Samples, or errors as values: a raised error would be wrapped in the traceback of a loader's process."""

    def __init__(self, samples: Dataset[dict[str, Any]]) -> None:
        self.samples = samples

    def __getitem__(self, number: int) -> dict[str, Any] | RestorebenchError:
        try:
            return self.samples[number]
        except RestorebenchError as error:
            return error


def _collated(samples: list[dict[str, Any] | RestorebenchError]) -> dict[str, Any] | RestorebenchError:
    errors = [sample for sample in samples if isinstance(sample, RestorebenchError)]
    if errors:
        return errors[0]
    batch: dict[str, Any] = default_collate(samples)
    return batch
