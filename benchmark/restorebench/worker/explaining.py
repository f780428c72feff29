"""Scoring of pairs for `explain`: under every column of a cell, and under the variants that its metrics offer."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from restorebench.contract.blame import blaming
from restorebench.contract.cards import MetricInfo, Variant, resolve
from restorebench.contract.errors import ContractViolation, RestorebenchError
from restorebench.contract.values import Sample
from restorebench.toolbox import images
from restorebench.toolbox.resampling import RESAMPLINGS, Resampling
from restorebench.toolbox.scoring import prepared_size
from restorebench.toolbox.synthesis import centre_cut
from restorebench.worker.jobs import CellSpec, Setup
from restorebench.worker.loading import Shelf
from restorebench.worker.reading import read
from restorebench.worker.scoring import LoadedMetric, score

if TYPE_CHECKING:
    from restorebench.contract.values import Image

    Pair = tuple[Image, Image]

Scores = dict[tuple[str, Variant], float]
"""By metric and variant. A variant without departures is the protocol that it names."""

CPU = torch.device("cpu")
MOST_THREADS = 8
MOST_PIXELS = 8_000_000
"""How many pixels are worked on at once, unless one image has more: each takes about 300 bytes."""
UNUSUAL_PROTOCOL = 0.1
"""The rarity of a protocol is this times its position among those of its metric, which only decides ties."""


@dataclass(frozen=True)
class Fit:
    """A way to give two images of different sizes one size, in words, with its rarity."""

    words: str
    rarity: float
    apply: Callable[[Image, Image], Pair]


AS_THEY_ARE = Fit("", 0.0, lambda restored, clean: (restored, clean))


def _resized_clean(way: Resampling) -> Fit:
    def apply(restored: Image, clean: Image) -> Pair:
        return restored, way.resize(clean.astype(np.float64), *restored.shape[:2]).astype(np.float32)

    return Fit(f"ground truth resized ({way.name})", way.rarity, apply)


def _resized_restored(way: Resampling) -> Fit:
    def apply(restored: Image, clean: Image) -> Pair:
        return way.resize(restored.astype(np.float64), *clean.shape[:2]).astype(np.float32), clean

    return Fit(f"restored image resized ({way.name})", way.rarity + 0.25, apply)


def _centres(restored: Image, clean: Image) -> Pair:
    height, width = np.minimum(restored.shape[:2], clean.shape[:2])
    return centre_cut(restored, height, width), centre_cut(clean, height, width)


def _corners(restored: Image, clean: Image) -> Pair:
    height, width = np.minimum(restored.shape[:2], clean.shape[:2])
    return restored[:height, :width], clean[:height, :width]


FITS = (
    *map(_resized_clean, RESAMPLINGS),
    Fit("cut to the common size around the centre", 0.75, _centres),
    Fit("cut to the common size from the corner", 0.75, _corners),
    *map(_resized_restored, RESAMPLINGS),
)


@dataclass(frozen=True)
class File:
    """One image: the number and name of its sample, and its restored image; None for the sample's degraded one."""

    number: int
    name: str
    restored: Path | None


class Explainer:
    """The data and metrics of one cell, on the CPU in this process.

    rarest: the largest rarity of a variant, by metric.
    """

    def __init__(self, setup: Setup, cell: CellSpec, rarest: Mapping[str, float]) -> None:
        torch.set_num_threads(setup.threads)
        self._shelf = Shelf(setup, CPU)
        self._shelf.prepare(cell)
        self._rarest = rarest

    def scores(self, files: Iterable[File]) -> Iterator[tuple[list[tuple[Fit, Scores]], int]]:
        """Yield the scores of each pair, and its number of pixels; if its sizes differ, for each way to fit them.

        Raises:
            RestorebenchError: a file cannot be read, a sample has no ground truth, or a metric failed.
        """
        threads = min(len(os.sched_getaffinity(0)), MOST_THREADS)
        waiting: deque[_Started] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for file in files:
                    restored, clean = self._pair(file)
                    pixels = restored.shape[0] * restored.shape[1]
                    in_flight = sum(each.pixels for each in waiting)
                    while waiting and (len(waiting) >= threads or in_flight + pixels > MOST_PIXELS):
                        in_flight -= waiting[0].pixels
                        yield waiting.popleft().result()
                    waiting.append(_Started(pixels, self._started(pool, file.name, restored, clean)))
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _pair(self, file: File) -> Pair:
        sample = read(self._shelf.data, file.number, one_size=False)
        if sample.clean is None:
            raise RestorebenchError(f"{file.name} has no ground truth, so nothing can be scored")
        return sample.degraded if file.restored is None else _output(file.restored), sample.clean

    def _started(self, pool: ThreadPoolExecutor, name: str, restored: Image, clean: Image) -> list[_OneSize]:
        """Score a pair under its columns, and let threads begin with its variants."""
        fits = (AS_THEY_ARE,) if restored.shape == clean.shape else FITS
        most = max(self._rarest.values())
        found = []
        for fit in (fit for fit in fits if fit.rarity <= most):
            pair = fit.apply(restored, clean)
            columns = {
                name: loaded
                for name, loaded in self._shelf.metrics.items()
                if fit.rarity <= self._rarest[loaded.card.name]
            }
            cards = {loaded.card.name: loaded.card for loaded in columns.values()}
            variants = {
                metric: pool.submit(_variants, card, *pair, self._rarest[metric] - fit.rarity)
                for metric, card in cards.items()
            }
            found.append(_OneSize(fit, _named(name, columns, *pair), variants))
        return found


@dataclass(frozen=True)
class _OneSize:
    """A pair of one size at work. variants: by metric."""

    fit: Fit
    named: Scores
    variants: Mapping[str, Future[list[tuple[Variant, float]]]]

    def result(self) -> tuple[Fit, Scores]:
        found = dict(self.named)
        for metric, future in self.variants.items():
            found |= {(metric, variant): value for variant, value in future.result()}
        more = self.fit.rarity
        return self.fit, {
            (metric, replace(variant, rarity=variant.rarity + more)): value
            for (metric, variant), value in found.items()
        }


@dataclass(frozen=True)
class _Started:
    """A pair at work, in each way to fit its sizes."""

    pixels: int
    parts: list[_OneSize]

    def result(self) -> tuple[list[tuple[Fit, Scores]], int]:
        return [part.result() for part in self.parts], self.pixels


def _named(image: str, columns: Mapping[str, LoadedMetric], restored: Image, clean: Image) -> Scores:
    """Score a pair under each protocol that it is large enough for. image: its name.

    Raises:
        RestorebenchError: a metric failed.
    """
    height, width = clean.shape[:2]
    fitting = {
        name: loaded
        for name, loaded in columns.items()
        if min(prepared_size(height, width, loaded.protocol)) >= max(1, loaded.card.minimum_size)
    }
    batch, sample = images.to_tensor([restored]), Sample(restored, clean)
    found: Scores = {}
    for name, loaded in fitting.items():
        (scored,) = score(batch, [sample], {name: loaded}, CPU)  # one at a time, as all together hold many copies
        if scored.failures:
            raise RestorebenchError(f"{image}: {scored.failures[name]}")
        if (value := scored.values[name]) is not None:
            place = [each.name for each in loaded.card.protocols].index(loaded.protocol.name)
            found[loaded.card.name, Variant(loaded.protocol.name, (), (), UNUSUAL_PROTOCOL * place)] = value
    return found


def _variants(card: MetricInfo, restored: Image, clean: Image, rarest: float) -> list[tuple[Variant, float]]:
    """Return the variants that a metric offers; none if it offers none.

    Raises:
        BrokenPlugin: it failed.
        ContractViolation: it returned something else.
    """
    if card.variants is None:
        return []
    with blaming(card, "computing its variants"):
        found = list(resolve(card.variants)(restored, clean, rarest))
    for each in found:
        if not (isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], Variant)):
            raise ContractViolation(f"metric {card.name!r}: `variants` gave a {type(each).__name__}, not a pair")
    return found


def _output(path: Path) -> Image:
    """Read a restored image that a run kept: the unrounded one if there is one."""
    exact = path.with_suffix(".npy")
    if not exact.exists():
        return images.read(path)
    restored: Image = np.load(exact, allow_pickle=False)
    return restored
