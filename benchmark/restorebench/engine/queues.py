"""Work that waits: one queue per cell and mode, what each cell has spent, and which cells are given up."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from restorebench.engine.events import Done, Event, failures
from restorebench.records import Failure, FailureKind
from restorebench.worker.jobs import CellSpec, Job


@dataclass
class Work:
    """A job with its history: how often it has killed its worker, and how often crashed it."""

    job: Job
    killed: int = 0
    crashed: int = 0


class Queues:
    """Hands out work and takes it back. What cannot be done any more becomes an event, never a gap."""

    def __init__(self, plugin_seconds: float | None = None) -> None:
        """Start empty. plugin_seconds: longest time a cell may spend on restoring; None sets no limit."""
        self.events: deque[Event] = deque()
        self._limit = plugin_seconds
        self._queues: dict[str, deque[Work]] = defaultdict(deque)
        self._spent: dict[str, float] = defaultdict(float)
        self._spent_elsewhere: dict[str, float] = defaultdict(float)
        self._given_up: dict[tuple[str, str], Failure] = {}

    def __len__(self) -> int:
        """Count the work that waits."""
        return sum(map(len, self._queues.values()))

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs behind what waits already."""
        for job in jobs:
            self._queues[_queue_name(job)].append(Work(job))

    def happened(self) -> Iterator[Event]:
        """Yield the events since the last time, once."""
        while self.events:
            yield self.events.popleft()

    def take(self, loaded: str, kin: Callable[[Job], bool]) -> Work | None:
        """Take the next work, failing what is hopeless on the way.

        First comes what a worker has `loaded` (a `cell_name`), then what may share its process, which `kin`
        tells, then the first in line.
        """
        while (queue := self._choose(loaded, kin)) is not None:
            work = queue.popleft()
            if (why := self.hopeless(work.job)) is None:
                return work
            self.fail(work.job, why)
        return None

    def _choose(self, loaded: str, kin: Callable[[Job], bool]) -> deque[Work] | None:
        waiting = [queue for queue in self._queues.values() if queue]
        same = (queue for queue in waiting if cell_name(queue[0].job) == loaded)
        related = (queue for queue in waiting if kin(queue[0].job))
        return next(same, None) or next(related, None) or next(iter(waiting), None)

    def requeue(self, work: Work) -> None:
        """Put work back in front, with its history."""
        self._queues[_queue_name(work.job)].appendleft(work)

    def split(self, job: Job) -> None:
        """Queue a group's images one by one, in front, to find the one that does it."""
        for place in reversed(range(len(job.samples))):
            part = replace(
                job,
                samples=job.samples[place : place + 1],
                ids=job.ids[place : place + 1],
                told=job.told[place : place + 1],
                outputs=job.outputs[place : place + 1],
            )
            self.requeue(Work(part))

    def try_again(self, work: Work, as_it_is: bool, why: Failure) -> None:
        """Queue work again as it is, else image by image, else let its one image fail."""
        if as_it_is:
            self.requeue(work)
        elif len(work.job.samples) > 1:
            self.split(work.job)
        else:
            self.fail(work.job, why)

    def fail(self, job: Job, why: Failure) -> None:
        """Make every image of a job a failure."""
        self.events.append(Done(job, failures(job, why)))

    def give_up(self, cell: CellSpec, why: Failure) -> None:
        """Fail all work of a cell that comes from now on; scoring what it saved is no work of its plugin."""
        self._given_up[plugin_work(cell)] = why

    def given_up(self, cell: CellSpec) -> Failure | None:
        """Say why a cell is given up; None if it is not."""
        return self._given_up.get(plugin_work(cell))

    def hopeless(self, job: Job) -> Failure | None:
        """Say why a job need not be tried: its cell is given up, or has used up its time; None if it may run."""
        if (why := self.given_up(job.cell)) is not None:
            return why
        left = self.seconds_left(job)
        if left is None or left > 0:
            return None
        return Failure(FailureKind.TIMEOUT, f"more than {self._limit:g} s for this task")

    def spend(self, job: Job, seconds: float) -> None:
        """Charge a job's cell with the time it took. Only restoring counts: scores and detections are free."""
        if job.mode == "restore":
            self._spent[job.cell.digest] += seconds

    def spent(self, job: Job) -> float:
        """Return how many seconds a job's cell was charged with here."""
        return self._spent[job.cell.digest]

    def spent_elsewhere(self, job: Job, seconds: float) -> None:
        """Set how long a job's cell has worked under other queues: the limit is one for all."""
        self._spent_elsewhere[job.cell.digest] = seconds

    def seconds_left(self, job: Job) -> float | None:
        """Return how long a job's cell may still run; None where no limit holds."""
        if self._limit is None or job.mode != "restore":
            return None
        return self._limit - self._spent[job.cell.digest] - self._spent_elsewhere[job.cell.digest]


def cell_name(job: Job) -> str:
    """Name what a worker must have loaded for a job."""
    return f"{job.cell.kind}:{job.cell.digest}:{','.join(column.name for column in job.cell.columns)}"


def plugin_work(cell: CellSpec) -> tuple[str, str]:
    """Name what fails together when a cell cannot be loaded: a restorer's saved images are scored without it."""
    return cell.kind, cell.digest


def _queue_name(job: Job) -> str:
    return f"{job.mode}:{cell_name(job)}"
