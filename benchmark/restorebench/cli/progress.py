"""Progress on stderr: bars on a terminal, else plain lines, at most one a minute beside those of finished cells.

Speed and time left count what this run does, from its first group on: neither images known from an earlier
run nor the start of the first worker.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from restorebench.cli.options import tell
from restorebench.engine.events import Done, Note
from restorebench.records import FAILED
from restorebench.toolbox.cells import visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from restorebench.schedule.stage import Watcher
    from restorebench.worker.jobs import CellSpec, Job

LINE_SECONDS = 60
"""Shortest time between two lines that say how far a stage is."""
_SPEED_SECONDS = 3600  # rich forgets after 30 s, and a diffusion model may take that long for one image


@contextmanager
def watching(quiet: bool = False, cells: bool = True) -> Iterator[Watcher]:
    """Yield what is told of every event of a run.

    cells: whether to tell of each cell; those of a command on files have labels in place of tasks.
    """
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bars(cells) as watch:
            yield watch
    else:
        yield _Lines(cells)


@dataclass
class _Tally:
    """How many images there are to do under one title, and how it goes."""

    title: str
    total: int = 0
    done: int = 0
    failed: int = 0
    first: int = 0
    began: float = 0.0

    def add(self, event: Done) -> None:
        if not self.done:
            # Work on the first group began at a time nobody knows: the clock starts where it ends.
            self.began, self.first = time.monotonic(), len(event.records)
        self.done += len(event.records)
        self.failed += sum(record.status == FAILED for record in event.records)

    @property
    def speed(self) -> float:
        """Images per second; 0 where that is not known yet."""
        seconds = time.monotonic() - self.began
        return (self.done - self.first) / seconds if seconds > 0.5 else 0.0

    @property
    def rate(self) -> str:
        return f"{self.speed:.{1 if self.speed >= 1 else 3}f} images/s" if self.speed else ""


class _Counts:
    """What is to be done and is done of a stage, and of each of its cells by their digests."""

    def __init__(self) -> None:
        self.whole = _Tally("")
        self.cells: dict[str, _Tally] = {}

    def start(self, stage: str, jobs: tuple[Job, ...]) -> None:
        """Count what a stage has to do; what the stage before it did is forgotten."""
        self.whole, self.cells = _Tally(stage), {}
        seen = Counter(_title(cell) for cell in {job.cell.digest: job.cell for job in jobs}.values())
        for job in jobs:
            title = _title(job.cell)
            if seen[title] > 1:  # two datasets of one task
                title += visible(f" ({job.cell.dataset.label})")
            self.cells.setdefault(job.cell.digest, _Tally(title)).total += len(job.samples)
            self.whole.total += len(job.samples)

    def add(self, event: Done) -> _Tally:
        """Count the outcomes of a job, and return what is known of its cell."""
        tally = self.cells[event.job.cell.digest]
        tally.add(event)
        self.whole.add(event)
        return tally


def _title(cell: CellSpec) -> str:
    told = "" if cell.tell == "nothing" else f" [{cell.tell}]"
    return visible(f"{cell.dataset.task} · {cell.label}{told}")


class _Lines(_Counts):
    """Lines for logs and pipes: one when a cell is finished, and now and then how far the stage is."""

    def __init__(self, cells: bool) -> None:
        super().__init__()
        self._cells = cells
        self._printed = time.monotonic()

    def __call__(self, event: Any) -> None:
        if isinstance(event, Note):
            self._print(f"note: {event.text}")
        elif isinstance(event, Done):
            tally = self.add(event)
            if self._cells and tally.done == tally.total:
                failed = f", {tally.failed} failed" if tally.failed else ""
                self._print(f"{tally.title}: {tally.done} images{failed}")
            if time.monotonic() - self._printed >= LINE_SECONDS and self.whole.done < self.whole.total:
                self._print(self._how_far())
                self._printed = time.monotonic()
        elif hasattr(event, "jobs"):
            self.start(event.stage, event.jobs)

    def _how_far(self) -> str:
        whole = self.whole
        text = f"{whole.title}: {whole.done} of {whole.total} images"
        if not whole.speed:
            return text
        left = timedelta(seconds=round((whole.total - whole.done) / whole.speed))
        return f"{text}, {whole.rate}, about {left} left"

    def _print(self, text: str) -> None:
        tell(text)


@contextmanager
def _bars(cells: bool) -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}", markup=False),  # "[task]" is what a restorer is told
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),  # stdout may be a file or a pipe, and is the tables'
        speed_estimate_period=_SPEED_SECONDS,
        transient=True,
    ) as progress:
        yield _Bars(progress, cells)


class _Bars(_Counts):
    """One bar for the whole stage and one for each cell at work; finished cells make room."""

    def __init__(self, progress: Progress, cells: bool) -> None:
        super().__init__()
        self._cells = cells
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._stage: TaskID | None = None

    def __call__(self, event: Any) -> None:
        if isinstance(event, Note):
            self._progress.console.print(visible(f"note: {event.text}"), highlight=False, markup=False)
        elif isinstance(event, Done):
            self._advance(event)
        elif hasattr(event, "jobs"):
            self.start(event.stage, event.jobs)
            if self._stage is not None:
                self._progress.remove_task(self._stage)
                self._stage = None
            if self.whole.total:
                self._stage = self._progress.add_task(f"all ({event.stage})", total=self.whole.total, rate="")

    def _advance(self, event: Done) -> None:
        tally = self.add(event)
        if self._stage is not None:
            self._progress.update(self._stage, completed=self.whole.done, rate=self.whole.rate)
        if self._cells:
            self._advance_cell(event.job.cell.digest, tally)

    def _advance_cell(self, digest: str, tally: _Tally) -> None:
        if digest not in self._bars:
            self._bars[digest] = self._progress.add_task(tally.title, total=tally.total, rate="")
        self._progress.update(self._bars[digest], completed=tally.done, rate=tally.rate)
        if tally.done >= tally.total:
            self._progress.remove_task(self._bars.pop(digest))
