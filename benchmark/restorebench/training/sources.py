"""Sources of training pairs: folders of pairs, or clean photographs that are degraded on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from restorebench.contract.errors import MissingResource, RestorebenchError
from restorebench.contract.tasks import TEN_NAMES
from restorebench.toolbox import images, photographs
from restorebench.toolbox.synthesis import degrade, synthesisers
from restorebench.training.config import Data, Training

if TYPE_CHECKING:
    from restorebench.contract.values import Image

_LQ, _GT = "LQ", "GT"
SIZES, SATURATIONS = (0.8, 1.0), (0.6, 1.3)
GAIN, GAMMA = 0.2, 0.4
"""Limits of `varied`: factors of sides and saturation; logarithms of the gains and of the exponent."""


@dataclass(frozen=True)
class Pair:
    """One pair of photographs (H, W, 3) in [0, 1].

    task: index in the source's tasks, or their number if `degraded` was left clean.
    """

    degraded: Image
    clean: Image
    task: int
    name: str


class Source(Protocol):
    """A source of pairs by task."""

    tasks: tuple[str, ...]

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw one pair of a task."""

    def names(self) -> Iterator[str]:
        """Yield the names of all pairs that can be drawn."""

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first `count` pairs, with the tasks in turn."""


class Folders:
    """Folders <root>/<task>/{GT,LQ} of images with equal stems and sizes; headers are checked before the training.

    tasks: None means those of the ten that have a folder.
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

    def _read(self, task: int, number: int) -> Pair:
        paths = self.found[task][number]
        degraded, clean = (images.read(path) for path in paths)
        return Pair(degraded, clean, task, f"{self.tasks[task]}/{paths[0].stem}")

    def names(self) -> Iterator[str]:
        """Yield the names of all pairs that can be drawn."""
        for task, pairs in zip(self.tasks, self.found, strict=True):
            yield from (f"{task}/{degraded.stem}" for degraded, _ in pairs)

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first `count` pairs, with the tasks in turn."""
        for number in range(count):
            task = number % len(self.tasks)
            yield self._read(task, number // len(self.tasks) % len(self.found[task]))


class Synthesis:
    """Clean photographs, degraded as a whole by the benchmark's own synthesisers before patches are cut."""

    def __init__(
        self,
        folder: Path | str,
        tasks: Sequence[str],
        severities: Sequence[int],
        limit: int | None = None,
        vary: bool = False,
    ) -> None:
        self.tasks, self.severities, self.vary = tuple(tasks), tuple(severities), vary
        self.paths = photographs.listed(folder, limit)
        self.makers = synthesisers(tasks)

    def pair(self, task: int, rng: np.random.Generator) -> Pair:
        """Draw a photograph, a severity and the randomness of the degradation."""
        path = self.paths[int(rng.integers(len(self.paths)))]
        severity = self.severities[int(rng.integers(len(self.severities)))]
        clean = varied(images.read(path), rng) if self.vary else images.read(path)
        image = images.quantise(self.makers[self.tasks[task]].degrade(clean, severity, rng).image)
        return Pair(image, clean, task, f"{self.tasks[task]}/{path.stem}")

    def names(self) -> Iterator[str]:
        """Yield the names of all pairs that can be drawn."""
        for task in self.tasks:
            yield from (f"{task}/{path.stem}" for path in self.paths)

    def validation(self, count: int) -> Iterator[Pair]:
        """Yield the first `count` photographs, with tasks and severities in turn, degraded as in the datasets."""
        for number in range(count):
            task = number % len(self.tasks)
            path = self.paths[number % len(self.paths)]
            clean = images.read(path)
            severity = self.severities[number // len(self.tasks) % len(self.severities)]
            name = self.tasks[task]
            yield Pair(degrade(self.makers[name], clean, name, severity), clean, task, f"{name}/{path.stem}")


def varied(clean: Image, rng: np.random.Generator) -> Image:
    """Change a photograph (H, W, 3) as another camera might: smaller by up to a fifth, flipped, other tones.

    A network that sees the same few hundred photographs repeatedly memorises them. It then recognises that a known
    photograph is darker or paler than it should be, which does not help with others. The result has 8 bits.
    """
    image = images.resized(clean, rng.uniform(*SIZES))
    if rng.random() < 0.5:
        image = image[:, ::-1]
    gains = np.exp(rng.uniform(-GAIN, GAIN) + rng.uniform(-GAIN / 2, GAIN / 2, 3))
    grey = image.mean(axis=2, keepdims=True)
    coloured = (grey + rng.uniform(*SATURATIONS) * (image - grey)) * gains
    toned = coloured.clip(0, 1) ** np.exp(rng.uniform(-GAMMA, GAMMA))
    return images.quantise(toned.astype(np.float32))


def source(data: Data) -> Source:
    """Open the source of pairs that a configuration names."""
    if data.pairs is not None:
        return Folders(data.pairs, data.tasks, data.limit)
    assert data.clean is not None  # one of the two, as the configuration ensures
    return Synthesis(data.clean, data.tasks or TEN_NAMES, data.severities, data.limit, data.vary)


def opened(options: Training) -> tuple[Source, Source | None]:
    """Open the data of a training, and of its validation if there is one, whose tasks must be the training's.

    Raises:
        RestorebenchError: data are missing or do not fit together, or validation has a task of its own.
    """
    training = source(options.data)
    if options.validation is None:
        return training, None
    tasks = options.validation.tasks or training.tasks
    if unknown := [task for task in tasks if task not in training.tasks]:
        raise RestorebenchError(f"validation.tasks: {unknown[0]!r} is not among the tasks of the training")
    return training, source(options.validation.model_copy(update={"tasks": tasks}))
