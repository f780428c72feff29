"""Progress: a bar per cell with images per second and time left on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from restorebench.events import Done, Note
from restorebench.records import FAILED

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from restorebench.jobs import Job
    from restorebench.plan import Plan
    from restorebench.runner import Watcher


@contextmanager
def watching(plan: Plan, quiet: bool = False) -> Iterator[Watcher]:
    """Yield what is told of every event of a run."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bars() as watch:
            yield watch
    else:
        yield _Lines()


def _title(job: Job) -> str:
    cell = job.cell
    told = "" if cell.tell == "nothing" else f" [{cell.tell}]"
    return f"{cell.dataset['task']} · {cell.label}{told}"


class _Counts:
    """How many images each cell has to do and has done."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.began: dict[str, float] = {}

    def start(self, jobs: tuple[Job, ...]) -> None:
        for job in jobs:
            self.total[_title(job)] += len(job.samples)

    def add(self, event: Done) -> str:
        title = _title(event.job)
        self.began.setdefault(title, time.monotonic())
        self.done[title] += len(event.records)
        self.failed[title] += sum(record.status == FAILED for record in event.records)
        return title


class _Lines(_Counts):
    """One line when a cell is finished, for logs and pipes."""

    def __call__(self, event: Any) -> None:
        if isinstance(event, Note):
            self._print(f"note: {event.text}")
        elif isinstance(event, Done):
            title = self.add(event)
            if self.done[title] == self.total[title]:
                failed = f", {self.failed[title]} failed" if self.failed[title] else ""
                self._print(f"{title}: {self.done[title]} images{failed}")
        elif hasattr(event, "jobs"):
            self.start(event.jobs)

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _bars() -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        transient=True,
    ) as progress:
        yield _Bars(progress)


class _Bars(_Counts):
    """One bar for the whole stage and one for each cell at work; finished cells make room."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._whole: TaskID | None = None

    def __call__(self, event: Any) -> None:
        if isinstance(event, Note):
            self._progress.console.print(f"note: {event.text}", highlight=False)
        elif isinstance(event, Done):
            self._advance(event)
        elif hasattr(event, "jobs"):
            self.start(event.jobs)
            images = sum(len(job.samples) for job in event.jobs)
            if images:
                self._whole = self._progress.add_task(f"all ({event.stage})", total=images, rate="")

    def _advance(self, event: Done) -> None:
        title = self.add(event)
        if title not in self._bars:
            self._bars[title] = self._progress.add_task(title, total=self.total[title], rate="")
        seconds = time.monotonic() - self.began[title]
        rate = f"{self.done[title] / seconds:.1f} images/s" if seconds > 0.5 else ""
        self._progress.update(self._bars[title], completed=self.done[title], rate=rate)
        if self._whole is not None:
            self._progress.advance(self._whole, len(event.records))
        if self.done[title] >= self.total[title]:
            self._progress.remove_task(self._bars.pop(title))
