"""Progress on stderr: bars on a terminal, else one line per finished cell and at most one more a minute.

Speed and time left count only the work of this run after its first group: neither images known from an earlier
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

from restorebench.cli.console import interruptible, tell
from restorebench.engine.events import Done, Note
from restorebench.records import FAILED
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from restorebench.schedule.stage import Watcher
    from restorebench.worker.jobs import CellSpec, Job

LINE_SECONDS = 60
"""Shortest time between two lines about the progress of a stage."""
_SPEED_SECONDS = 3600  # rich's default is 30 s, and a diffusion model may take that long for one image


@contextmanager
def watched(what_remains: str, cells: bool = False) -> Iterator[Watcher]:
    """Show the progress of a command on stderr, and let Ctrl-C end it with a line that says what was kept."""
    with interruptible(what_remains), watching(cells=cells) as watch:
        yield watch


@contextmanager
def watching(quiet: bool = False, cells: bool = True) -> Iterator[Watcher]:
    """Yield a function that takes every event of a run and shows it.

    cells: whether to show each cell; a command on single files does not, because its tasks are only labels.
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
    """Counts of images under one title. first: images in the first group; began: when that group ended."""

    title: str
    total: int = 0
    done: int = 0
    failed: int = 0
    first: int = 0
    began: float = 0.0

    def add(self, event: Done) -> None:
        if not self.done:
            # It is not known when work on the first group began, so the clock starts when it ends.
            self.began, self.first = time.monotonic(), len(event.records)
        self.done += len(event.records)
        self.failed += sum(record.status == FAILED for record in event.records)

    @property
    def speed(self) -> float:
        """Images per second; 0 while it is not known."""
        seconds = time.monotonic() - self.began
        return (self.done - self.first) / seconds if seconds > 0.5 else 0.0

    @property
    def rate(self) -> str:
        return f"{self.speed:.{1 if self.speed >= 1 else 3}f} images/s" if self.speed else ""


class _Counts:
    """Counts of images for a stage, and for each of its cells by digest."""

    def __init__(self) -> None:
        self.whole = _Tally("")
        self.cells: dict[str, _Tally] = {}

    def start(self, stage: str, jobs: tuple[Job, ...]) -> None:
        """Count the images of a new stage, and forget the counts of the stage before."""
        self.whole, self.cells = _Tally(stage), {}
        seen = Counter(_title(cell) for cell in {job.cell.digest: job.cell for job in jobs}.values())
        for job in jobs:
            title = _title(job.cell)
            if seen[title] > 1:  # two datasets of one task
                title += visible(f" ({job.cell.dataset.label})")
            self.cells.setdefault(job.cell.digest, _Tally(title)).total += len(job.samples)
            self.whole.total += len(job.samples)

    def add(self, event: Done) -> _Tally:
        """Count the images of a finished job, and return the counts of its cell."""
        tally = self.cells[event.job.cell.digest]
        tally.add(event)
        self.whole.add(event)
        return tally


def _title(cell: CellSpec) -> str:
    told = "" if cell.tell == "nothing" else f" [{cell.tell}]"
    return visible(f"{cell.dataset.task} · {cell.label}{told}")


class _Lines(_Counts):
    """Progress as lines, for logs and pipes: one per finished cell, and now and then one for the stage."""

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
                self._print(f"{tally.title}: {counted(tally.done, 'image')}{failed}")
            if time.monotonic() - self._printed >= LINE_SECONDS and self.whole.done < self.whole.total:
                self._print(self._how_far())
                self._printed = time.monotonic()
        elif hasattr(event, "jobs"):
            self.start(event.stage, event.jobs)

    def _how_far(self) -> str:
        whole = self.whole
        text = f"{whole.title}: {whole.done} of {counted(whole.total, 'image')}"
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
        TextColumn("{task.description}", markup=False),  # a title may hold "[task]", which is not markup
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),  # stdout is for the tables, and may be a file or a pipe
        speed_estimate_period=_SPEED_SECONDS,
        transient=True,
    ) as progress:
        yield _Bars(progress, cells)


class _Bars(_Counts):
    """One bar for the whole stage and one for each cell at work; the bars of finished cells disappear."""

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
