"""Estimate how long a run will take, order its jobs, and report at its end how long it took."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from restorebench.engine.events import Done, Event, Loaded
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell
from restorebench.records import OK, Record
from restorebench.schedule.costs import Cost, Costs
from restorebench.toolbox.counts import counted
from restorebench.worker.jobs import CellSpec, Job

_BUSIER = 0.5  # more processes per core
_PNG_BYTES, _FLOAT_BYTES = 3, 12
"""The most bytes per pixel of a saved image: three of 8 bits, as PNG cannot shrink noise; three floats."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of the groups of one cell that are still to be done.

    seconds: of one worker, including loading; None if the plugin was never measured. peak_mib: the most memory of
    a worker so far, None if it is not known. larger: whether a group has more pixels than any before. disk: the
    most bytes that restored images can take. others: how many other processes per core there were when the seconds
    were measured.
    """

    images: int
    seconds: float | None
    peak_mib: float | None
    larger: bool
    disk: int
    others: float = 0.0


def estimate(plan: Plan, costs: Costs, jobs: Sequence[Job]) -> dict[str, Estimate]:
    """Estimate the cost of jobs, by the digests of their cells."""
    pixels_of = Pixels(plan)
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.cell.digest].append(job)
    return {digest: _of_cell(costs, same, pixels_of) for digest, same in groups.items()}


def _of_cell(costs: Costs, jobs: Sequence[Job], pixels_of: Pixels) -> Estimate:
    cell, pixels = jobs[0].cell, [pixels_of(job) for job in jobs]
    cost = costs.of(cell)
    images = sum(len(job.samples) for job in jobs)
    each = (_PNG_BYTES if cell.save else 0) + (_FLOAT_BYTES if cell.save_float else 0)
    return Estimate(
        images=images,
        seconds=None if cost is None else cost.seconds(sum(pixels)) + cost.load_seconds,
        peak_mib=None if cost is None else cost.peak_mib,
        larger=cost is not None and max(pixels) > cost.pixels,
        disk=each * sum(pixels),
        others=0.0 if cost is None else cost.others,
    )


class Pixels:
    """A counter of the pixels in a job's images."""

    def __init__(self, plan: Plan) -> None:
        cells: tuple[RestorerCell | DetectorCell, ...] = (*plan.restorer_cells, *plan.detector_cells)
        self._samples = {cell.digest: cell.data.samples for cell in cells}

    def __call__(self, job: Job) -> int:
        samples = self._samples[job.cell.digest]
        return sum(samples[index].height * samples[index].width for index in job.samples)


def unseen(costs: Costs, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Choose one group of each cell whose cost is not known."""
    chosen = {job.cell.digest: job for job in reversed(jobs) if not costs.measured(job.cell)}
    return tuple(job for job in jobs if chosen.get(job.cell.digest) is job)


def longest_first(plan: Plan, costs: Costs, jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Order jobs cell by cell, longest groups first: the last are short, so that all workers end together."""
    pixels_of = Pixels(plan)
    longest: dict[str, float] = defaultdict(float)
    seconds: dict[tuple[object, ...], float] = {}
    for job in jobs:
        cost = costs.of(job.cell)
        seconds[job.key] = math.inf if cost is None else cost.seconds(pixels_of(job))
        longest[job.cell.digest] = max(longest[job.cell.digest], seconds[job.key])
    order = {digest: index for index, digest in enumerate(sorted(longest, key=lambda digest: -longest[digest]))}
    return tuple(sorted(jobs, key=lambda job: (order[job.cell.digest], -seconds[job.key])))


def summary(expected: Iterable[Estimate], workers: int) -> str:
    """Describe the expected cost of a run in one line."""
    cells = list(expected)
    known = [cell.seconds for cell in cells if cell.seconds is not None]
    text = f"estimated: {_hours(math.fsum(known))} of work"
    if workers > 1:
        text += f", {_hours(math.fsum(known) / workers)} on {workers} workers"
    text += f"; restored images take {sum(cell.disk for cell in cells) / 1e9:.2f} GB at most"
    if lacking := len(cells) - len(known):
        cells_were = counted(lacking, "cell is", "cells are")
        text += f"; {cells_were} left out, never run on this machine: --calibrate measures them"
    return text


def busier(expected: Iterable[Estimate], others: float) -> str:
    """Say if the machine is busier than when the times were measured; else an empty string.

    others: how many other processes per core there are now.
    """
    then = [cell.others for cell in expected if cell.seconds is not None]
    if not then or others - (before := math.fsum(then) / len(then)) < _BUSIER:
        return ""
    return (
        f"this machine has {others:.1f} other processes per core now, and had {before:.1f} when these times were"
        " measured: expect longer times"
    )


def _hours(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))


@dataclass
class _Sum:
    """Sums over the jobs of a cell. took, loads, images: of all jobs; the others: of groups without failures."""

    cell: CellSpec
    took: float = 0.0
    seconds: float = 0.0
    pixels: int = 0
    loads: list[float] = field(default_factory=list)
    peak_mib: float | None = None
    largest: int = 0
    images: int = 0
    outputs: list[str] = field(default_factory=list)

    @property
    def cost(self) -> Cost | None:
        """The measured cost of the cell; None if no group succeeded."""
        if not self.pixels:
            return None
        load = math.fsum(self.loads) / max(len(self.loads), 1)
        return Cost(self.seconds / self.pixels * 1e6, load, self.peak_mib, self.largest)


class Ledger:
    """The costs of the jobs of a stage, added up by cell and by worker."""

    def __init__(self, plan: Plan) -> None:
        self._pixels_of = Pixels(plan)
        self._cells: dict[str, _Sum] = {}
        self._began = time.monotonic()
        self._ended: dict[int, float] = {}

    def add(self, event: Event) -> None:
        """Take an event into account."""
        if isinstance(event, Loaded):
            of_cell = self._sum(event.cell)
            of_cell.loads.append(event.seconds)
            of_cell.took += event.seconds
        elif isinstance(event, Done):
            self._ended[event.worker] = time.monotonic() - self._began
            of_cell = self._sum(event.job.cell)
            of_cell.took += event.seconds
            of_cell.images += len(event.records)
            if event.job.mode != "score" and all(record.status == OK for record in event.records):
                self._add(of_cell, event)

    def _add(self, of_cell: _Sum, event: Done) -> None:
        pixels = self._pixels_of(event.job)
        of_cell.seconds += event.seconds
        of_cell.pixels += pixels
        of_cell.largest = max(of_cell.largest, pixels)
        for record in event.records:
            if isinstance(record, Record):
                of_cell.peak_mib = max(filter(None, (of_cell.peak_mib, record.peak_mib)), default=None)
                of_cell.outputs += filter(None, [record.output])

    def _sum(self, cell: CellSpec) -> _Sum:
        return self._cells.setdefault(cell.digest, _Sum(cell))

    def teach(self, costs: Costs, others: float) -> None:
        """Add the measured costs to those that are kept. others: as in `Cost`."""
        for each in self._cells.values():
            if (cost := each.cost) is not None:
                costs.add(each.cell, replace(cost, others=round(others, 2)))

    def summary(self, expected: Mapping[str, Estimate]) -> str:
        """Describe in one line what the stage took, what was expected, and how evenly its workers ended."""
        text = f"took {_hours(math.fsum(each.took for each in self._cells.values()))} of work"
        guessed = [cell.seconds for cell in expected.values()]
        if None not in guessed:
            text += f", estimated {_hours(math.fsum(filter(None, guessed)))}"
        if len(self._ended) > 1:
            mean = math.fsum(self._ended.values()) / len(self._ended)
            late = max(self._ended.values()) / mean - 1
            text += f"; of {len(self._ended)} workers the last ended {100 * late:.1f} % after the mean"
        return text

    def rows(self, expected: Mapping[str, Estimate], folder: Path) -> list[dict[str, Any]]:
        """Return a row for each cell of this stage, with expected and actual costs. folder: of the run."""
        rows = []
        for digest, each in self._cells.items():
            cell, guess = each.cell, expected[digest]
            files = [path for name in each.outputs for path in _saved(folder / name)]
            rows.append(
                {
                    "task": cell.dataset.task,
                    "dataset": cell.dataset.label,
                    "name": cell.label,
                    "tell": cell.tell,
                    "images": each.images,
                    "estimated_seconds": guess.seconds,
                    "seconds": each.took,
                    "estimated_peak_mib": guess.peak_mib,
                    "peak_mib": each.peak_mib,
                    "estimated_most_bytes": guess.disk,
                    "bytes": sum(path.stat().st_size for path in files if path.is_file()),
                }
            )
        return rows


def _saved(image: Path) -> tuple[Path, Path]:
    """Return the files that a restored image may have."""
    return image, image.with_suffix(".npy")
