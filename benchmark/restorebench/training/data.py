"""Training samples as a function of their number: the same in any process, and after any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from restorebench.catalog import synthesisers
from restorebench.errors import MissingResource, RestorebenchError
from restorebench.tasks import TEN_NAMES
from restorebench.toolbox import images, photographs
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import degrade
from restorebench.training.config import Data, Training

if TYPE_CHECKING:
    from restorebench.contracts import Image

_LQ, _GT = "LQ", "GT"


@dataclass(frozen=True)
class Pair:
    """One pair of photographs (H, W, 3) in [0, 1]; task: its place in the configuration."""

    degraded: Image
    clean: Image
    task: int
    name: str


class Source(Protocol):
    """Pairs by task."""

    tasks: tuple[str, ...]

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw one pair of a task."""

    def names(self) -> Iterator[str]:
        """Yield the name of every pair that may be drawn."""

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first pairs, the tasks in turn."""


class Folders:
    """<root>/<task>/{GT,LQ} with equal stems and sizes; all headers are read at once, so that nothing fails late.

    tasks: None takes those of the ten that have a folder.
    """

    def __init__(self, root: Path, tasks: Sequence[str] | None, limit: int | None) -> None:
        self.tasks = tuple(task for task in TEN_NAMES if (root / task).is_dir()) if tasks is None else tuple(tasks)
        if not self.tasks:
            raise MissingResource(f"{root}: holds no folder of a task ({', '.join(TEN_NAMES)})")
        self.found = [self._pairs(root / task, limit) for task in self.tasks]

    @staticmethod
    def _pairs(folder: Path, limit: int | None) -> list[tuple[Path, Path]]:
        sides = {side: photographs.by_stem(folder / side) for side in (_LQ, _GT)}
        if odd := sorted(sides[_LQ].keys() ^ sides[_GT].keys()):
            raise RestorebenchError(
                f"{folder}: {odd[0]!r} and {len(odd) - 1} more lack a partner in {_LQ} or {_GT}"
            )
        found = [(sides[_LQ][stem], sides[_GT][stem]) for stem in sorted(sides[_LQ])][:limit]
        for paths in found:
            degraded, clean = (images.read_size(path) for path in paths)
            if degraded != clean:
                raise RestorebenchError(
                    f"{paths[0]}: {degraded[0]} x {degraded[1]}, but its clean image is {clean[0]} x {clean[1]}"
                )
        return found

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw one pair of a task."""
        return self._read(task, int(rng.integers(len(self.found[task]))))

    def _read(self, task: int, place: int) -> Pair:
        paths = self.found[task][place]
        degraded, clean = (images.read(path) for path in paths)
        return Pair(degraded, clean, task, f"{self.tasks[task]}/{paths[0].stem}")

    def names(self) -> Iterator[str]:
        """Yield the name of every pair that may be drawn."""
        for task, pairs in zip(self.tasks, self.found, strict=True):
            yield from (f"{task}/{degraded.stem}" for degraded, _ in pairs)

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first pairs, the tasks in turn."""
        for number in range(count):
            task = number % len(self.tasks)
            yield self._read(task, number // len(self.tasks) % len(self.found[task]))


class Synthesis:
    """Clean photographs, degraded whole by the benchmark's own synthesisers before any patch is cut."""

    def __init__(
        self, folder: Path | str, tasks: Sequence[str], severities: Sequence[int], limit: int | None
    ) -> None:
        self.tasks, self.severities = tuple(tasks), tuple(severities)
        self.paths = photographs.listed(folder, limit)
        self.makers = synthesisers(tasks)

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw a photograph, a severity and the degradation itself."""
        path = self.paths[int(rng.integers(len(self.paths)))]
        severity = self.severities[int(rng.integers(len(self.severities)))]
        clean = images.read(path)
        image = images.quantise(self.makers[self.tasks[task]].degrade(clean, severity, rng).image)
        return Pair(image, clean, task, f"{self.tasks[task]}/{path.stem}")

    def names(self) -> Iterator[str]:
        """Yield the name of every pair that may be drawn."""
        for task in self.tasks:
            yield from (f"{task}/{path.stem}" for path in self.paths)

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first photographs, tasks and severities in turn, as the datasets degrade them."""
        for number in range(count):
            task = number % len(self.tasks)
            path = self.paths[number % len(self.paths)]
            clean = images.read(path)
            severity = self.severities[number // len(self.tasks) % len(self.severities)]
            name = self.tasks[task]
            yield Pair(degrade(self.makers[name], clean, name, severity), clean, task, f"{name}/{path.stem}")


def source(data: Data) -> Source:
    """Open what a configuration names."""
    if data.pairs is not None:
        return Folders(data.pairs, data.tasks, data.limit)
    assert data.clean is not None  # one of the two, as the configuration ensures
    return Synthesis(data.clean, data.tasks or TEN_NAMES, data.severities, data.limit)


def sources(options: Training) -> tuple[Source, Source | None]:
    """Open the data of a training and of its validation, where there is one; its tasks must be among the former's.

    Raises:
        RestorebenchError: data are not there, do not fit together, or are of other tasks.
    """
    training = source(options.data)
    if options.validation is None:
        return training, None
    tasks = options.validation.tasks or training.tasks
    if strange := [task for task in tasks if task not in training.tasks]:
        raise RestorebenchError(f"validation.tasks: {strange[0]!r} is not among the tasks of the training")
    return training, source(options.validation.model_copy(update={"tasks": tasks}))


# ---------------------------------------------------------------- samples


class Patches(Dataset[dict[str, Any]]):
    """Random patches, flipped and turned unless told not to; sample n is a function of the seed and n."""

    def __init__(self, pairs: Source, patch: int, seed: int, turn: bool = True) -> None:
        self.pairs, self.patch, self.seed, self.turn = pairs, patch, seed, turn

    def __getitem__(self, number: int) -> dict[str, Any]:
        rng = generator(self.seed, "sample", number)
        pair = self.pairs.pair(int(rng.integers(len(self.pairs.tasks))), rng)
        degraded, clean = _patch(pair.degraded, pair.clean, self.patch, self.turn, rng)
        return {"degraded": tensor(degraded), "clean": tensor(clean), "task": pair.task, "number": number}


def _patch(degraded: Image, clean: Image, side: int, turn: bool, rng: np.random.Generator) -> tuple[Image, Image]:
    """Cut the same square out of both; flip it along either axis and transpose it, each at even odds."""
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
    """Turn (H, W, 3) into (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def batches(
    samples: Dataset[dict[str, Any]], size: int, first: int, rank: int, world: int, workers: int
) -> Iterator[dict[str, Any]]:
    """Yield batches without end from batch `first` on; processes of a world take turns within each."""

    def numbers() -> Iterator[list[int]]:
        batch = first
        while True:
            start = (batch * world + rank) * size
            yield list(range(start, start + size))
            batch += 1

    loader = DataLoader(
        _Told(samples),
        batch_sampler=numbers(),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collated,
    )
    for batch in loader:
        if isinstance(batch, RestorebenchError):
            raise batch
        yield batch


class _Told(Dataset[dict[str, Any] | RestorebenchError]):
    """Samples, or what is wrong with them as a value: a loader's process would wrap an error in its traceback."""

    def __init__(self, samples: Dataset[dict[str, Any]]) -> None:
        self.samples = samples

    def __getitem__(self, number: int) -> dict[str, Any] | RestorebenchError:
        try:
            return self.samples[number]
        except RestorebenchError as error:
            return error


def _collated(samples: list[dict[str, Any] | RestorebenchError]) -> dict[str, Any] | RestorebenchError:
    wrong = [sample for sample in samples if isinstance(sample, RestorebenchError)]
    if wrong:
        return wrong[0]
    batch: dict[str, Any] = default_collate(samples)
    return batch
