"""Training samples as a function of their number: the same in any process, and after any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restorebench.catalog import synthesisers
from restorebench.errors import RestorebenchError
from restorebench.toolbox import images, photographs
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import degrade
from restorebench.training.config import Data

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

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first pairs, the tasks in turn."""


class Folders:
    """<root>/<task>/{GT,LQ} with equal stems."""

    def __init__(self, root: Path, tasks: Sequence[str], limit: int | None) -> None:
        self.tasks = tuple(tasks)
        self.found = [self._pairs(root / task, limit) for task in tasks]

    @staticmethod
    def _pairs(folder: Path, limit: int | None) -> list[tuple[Path, Path]]:
        sides = {side: {path.stem: path for path in photographs.listed(folder / side)} for side in (_LQ, _GT)}
        if odd := sorted(sides[_LQ].keys() ^ sides[_GT].keys()):
            raise RestorebenchError(
                f"{folder}: {odd[0]!r} and {len(odd) - 1} more lack a partner in {_LQ} or {_GT}"
            )
        return [(sides[_LQ][stem], sides[_GT][stem]) for stem in sorted(sides[_LQ])][:limit]

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw one pair of a task."""
        return self._read(task, int(rng.integers(len(self.found[task]))))

    def _read(self, task: int, place: int) -> Pair:
        paths = self.found[task][place]
        degraded, clean = (images.read(path) for path in paths)
        if degraded.shape != clean.shape:
            raise RestorebenchError(f"{paths[0]}: {degraded.shape}, but its clean image is {clean.shape}")
        return Pair(degraded, clean, task, f"{self.tasks[task]}/{paths[0].stem}")

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first pairs, the tasks in turn."""
        for number in range(count):
            task = number % len(self.tasks)
            yield self._read(task, number // len(self.tasks) % len(self.found[task]))


class Synthesis:
    """Clean photographs, degraded whole by the benchmark's own synthesisers before any patch is cut."""

    def __init__(self, folder: Path, tasks: Sequence[str], severities: Sequence[int], limit: int | None) -> None:
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
    return Synthesis(data.clean, data.tasks, data.severities, data.limit)


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

    yield from DataLoader(samples, batch_sampler=numbers(), num_workers=workers, persistent_workers=workers > 0)
