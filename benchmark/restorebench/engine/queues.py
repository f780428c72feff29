"""Queues of waiting work: one per cell and mode, with the time that cells have spent and the cells given up."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import get_args

from restorebench.engine.events import Done, Event, failures
from restorebench.records import Failure, FailureKind
from restorebench.toolbox.counts import counted
from restorebench.worker.jobs import CellSpec, Job, Mode

KILLED_ATTEMPTS = 3
"""How often a group is tried again after a SIGKILL that was not ours, such as the kernel's."""
CRASH_ATTEMPTS = 2
_SIGKILL = "SIGKILL"


@dataclass
class Work:
    """A job with its history. killed, crashed: how often its worker was killed, or crashed."""

    job: Job
    killed: int = 0
    crashed: int = 0


class Queues:
    """Queues that hand out work and take it back. Work that cannot be done becomes an event with failures."""

    def __init__(self, plugin_seconds: float | None = None) -> None:
        """Start empty. plugin_seconds: longest time a cell may spend on restoring; None sets no limit."""
        self.events: deque[Event] = deque()
        self._limit = plugin_seconds
        self._queues: dict[str, deque[Work]] = defaultdict(deque)
        self._waiting = 0
        self._spent: dict[str, float] = defaultdict(float)
        self._spent_elsewhere: dict[str, float] = defaultdict(float)
        self._given_up: dict[tuple[str, str], Failure] = {}
        self._lost_loading: dict[tuple[str, str], int] = defaultdict(int)

    def __len__(self) -> int:
        """Count the waiting jobs."""
        return self._waiting

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs behind those that are waiting already."""
        for job in jobs:
            self._queues[_queue_name(job.mode, cell_name(job))].append(Work(job))
            self._waiting += 1

    def happened(self) -> Iterator[Event]:
        """Yield the events since the last call, and remove them."""
        while self.events:
            yield self.events.popleft()

    def take(self, loaded: str, kin: Callable[[Job], bool]) -> Work | None:
        """Take the next work; work that is hopeless is failed on the way.

        Work for the cell that a worker has `loaded` (a `cell_name`) comes first, then work that may share its
        process, for which `kin` is true, then the first in line.
        """
        while (queue := self._choose(loaded, kin)) is not None:
            work = queue.popleft()
            self._waiting -= 1
            if (why := self.hopeless(work.job)) is None:
                return work
            self.fail(work.job, why)
        return None

    def take_alike(self, work: Work) -> Work | None:
        """Take the next work of the same cell and mode, if there is any that is not hopeless."""
        queue = self._queues[_queue_name(work.job.mode, cell_name(work.job))]
        if not queue or self.hopeless(queue[0].job) is not None:
            return None
        self._waiting -= 1
        return queue.popleft()

    def _choose(self, loaded: str, kin: Callable[[Job], bool]) -> deque[Work] | None:
        for mode in _MODES:
            if queue := self._queues.get(_queue_name(mode, loaded)):
                return queue
        first = None
        for queue in self._queues.values():
            if queue and kin(queue[0].job):
                return queue
            first = first or queue or None
        return first

    def requeue(self, work: Work) -> None:
        """Put work back in front, with its history."""
        self._queues[_queue_name(work.job.mode, cell_name(work.job))].appendleft(work)
        self._waiting += 1

    def split(self, job: Job) -> None:
        """Queue a group's images one by one, in front, to find the one that causes a failure."""
        for index in reversed(range(len(job.samples))):
            part = replace(
                job,
                samples=job.samples[index : index + 1],
                ids=job.ids[index : index + 1],
                told=job.told[index : index + 1],
                outputs=job.outputs[index : index + 1],
            )
            self.requeue(Work(part))

    def lost(self, work: Work, how: str) -> None:
        """Take back work whose worker has ended: try it again, or fail it. how: as from `Child.death`."""
        if how == _SIGKILL:
            work.killed += 1
            why = Failure(FailureKind.KILLED, f"{how} {counted(work.killed, 'time')}, perhaps for lack of memory")
            self.try_again(work, work.killed <= KILLED_ATTEMPTS, why)
        else:
            work.crashed += 1
            alone = len(work.job.samples) == 1
            self.try_again(work, alone and work.crashed < CRASH_ATTEMPTS, Failure(FailureKind.CRASH, how))

    def lost_while_loading(self, work: Work, how: str) -> None:
        """Take back work whose worker has ended while it loaded the cell: try again, or give the cell up."""
        cell, kind = work.job.cell, FailureKind.KILLED if how == _SIGKILL else FailureKind.CRASH
        self._lost_loading[plugin_work(cell)] += 1
        attempts = KILLED_ATTEMPTS + 1 if how == _SIGKILL else CRASH_ATTEMPTS
        if self._lost_loading[plugin_work(cell)] < attempts:
            self.requeue(work)
            return
        why = Failure(kind, f"{how} while loading")
        self.give_up(cell, why)
        self.fail(work.job, why)

    def try_again(self, work: Work, as_it_is: bool, why: Failure) -> None:
        """Queue work again: as it is, or else image by image; a single image fails instead."""
        if as_it_is:
            self.requeue(work)
        elif len(work.job.samples) > 1:
            self.split(work.job)
        else:
            self.fail(work.job, why)

    def fail(self, job: Job, why: Failure) -> None:
        """Fail all images of a job."""
        self.events.append(Done(job, failures(job, why)))

    def give_up(self, cell: CellSpec, why: Failure) -> None:
        """Fail all later work of a cell's plugin; scoring images that it saved before still goes on."""
        self._given_up[plugin_work(cell)] = why

    def given_up(self, cell: CellSpec) -> Failure | None:
        """Return why a cell is given up; None if it is not."""
        return self._given_up.get(plugin_work(cell))

    def hopeless(self, job: Job) -> Failure | None:
        """Return why a job is not tried: its cell is given up or has used up its time; None if it may run."""
        if (why := self.given_up(job.cell)) is not None:
            return why
        left = self.seconds_left(job)
        if left is None or left > 0:
            return None
        return Failure(FailureKind.TIMEOUT, f"more than {self._limit:g} s for this task")

    def spend(self, job: Job, seconds: float) -> None:
        """Add the time that a job took to its cell's. Only restoring counts, not scoring or detecting."""
        if job.mode == "restore":
            self._spent[job.cell.digest] += seconds

    def spent(self, job: Job) -> float:
        """Return the seconds that a job's cell has spent under these queues."""
        return self._spent[job.cell.digest]

    def spent_elsewhere(self, job: Job, seconds: float) -> None:
        """Set the seconds that a job's cell has spent under other queues, as all share one limit."""
        self._spent_elsewhere[job.cell.digest] = seconds

    def seconds_left(self, job: Job) -> float | None:
        """Return how many seconds a job's cell may still run; None if there is no limit."""
        if self._limit is None or job.mode != "restore":
            return None
        return self._limit - self._spent[job.cell.digest] - self._spent_elsewhere[job.cell.digest]


def cell_name(job: Job) -> str:
    """Return a name for the cell and metrics that a worker must have loaded for a job."""
    return f"{job.cell.kind}:{job.cell.digest}:{','.join(column.name for column in job.cell.columns)}"


def plugin_work(cell: CellSpec) -> tuple[str, str]:
    """Return the key of work that fails if a cell cannot be loaded; scoring saved images needs no restorer."""
    return cell.kind, cell.digest


_MODES = get_args(Mode)


def _queue_name(mode: str, cell: str) -> str:
    return f"{mode}:{cell}"
