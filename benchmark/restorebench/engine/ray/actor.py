"""What runs in each of Ray's actors: a supervisor with one worker process. It imports neither ray nor torch.

A plugin that crashes, hangs or leaks ends a worker, not the actor; and no actor holds a GPU's memory, so that
ending the worker frees all of it.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.engine import environment
from restorebench.engine.events import Done, Event, Loaded
from restorebench.engine.ray.placement import Files, Glimpse, Placement, sees
from restorebench.engine.supervisor import Supervisor
from restorebench.records import Failure
from restorebench.suite.settings import cache_folder
from restorebench.worker.jobs import Job, Setup


@dataclass(frozen=True)
class Surroundings:
    """Where an actor is: the machine, the versions there, and which of the driver's files and folders are not."""

    host: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Settled:
    """An actor has what it was missing. error: type and message of what keeps it from that."""

    error: tuple[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """What came of a group.

    seconds: what its cell is to be charged with. given_up: why its cell is hopeless, or None. error: type and
    message of what the user has to mend; then the events are not all. files: what was put into a run folder that
    is not the driver's, {relative path: bytes}. log: what the worker's log has grown by there.
    """

    events: tuple[Event, ...]
    seconds: float
    given_up: Failure | None = None
    error: tuple[str, str] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    log: bytes = b""


class GroupActor:
    """Does one group per call. Its worker ends with it: the kernel sees to that, however the actor ends."""

    def __init__(self, setup: Setup, number: int, folder: str, environment: Mapping[str, str]) -> None:
        """Prepare; the worker starts with the first group.

        number: names the folder of its worker's log. folder: the driver's working folder. environment: variables
        of the driver that plugins and the cache look at.
        """
        self._own_cache = cache_folder()  # before the driver's is named
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # not on this machine
            os.chdir(folder)
        self._setup = setup
        self._placement = Placement(setup)
        self._logs = Path("logs") / f"actor-{number}"
        self._log_sent = 0

    def surroundings(self, mark: str, glimpses: Mapping[str, Glimpse]) -> Surroundings:
        """Say where this is.

        mark: a file in the run folder that the driver has just made. glimpses: what the driver sees of each input.
        """
        missing = [] if sees(mark, {"": 0}) else [self._setup.run_folder]
        missing += [path for path, seen in glimpses.items() if not sees(path, seen)]
        return Surroundings(platform.node(), environment.installed(), tuple(missing))

    def settle(self, missing: Sequence[str], files: Files) -> Settled:
        """Bring what is missing here. files: where to get it."""
        try:
            self._placement = Placement(self._setup, missing, files, self._own_cache)
        except RestorebenchError as error:
            return Settled((type(error).__name__, str(error)))
        self._setup = self._placement.setup(self._own_cache)
        os.environ["RESTOREBENCH_HOME"] = self._setup.cache
        return Settled()

    def run(self, job: Job, spent_elsewhere: float) -> Answer:
        """Do a group. spent_elsewhere: how many seconds its cell has been at work on other actors."""
        queues, place = self._supervisor.queues, self._placement
        queues.spent_elsewhere(job, spent_elsewhere)
        before, events, files, error = queues.spent(job), list[Event](), dict[str, bytes](), None
        try:
            with place.with_outputs(job.outputs):
                for event in self._supervisor.run([place.here(job)]):
                    events.append(_as_asked(event, job))
        except (RestorebenchError, OSError) as met:
            error = (type(met).__name__, str(met))
        try:
            files = place.take_written()
        except OSError as met:  # no record may name an image that does not come along
            events, error = [], error or (type(met).__name__, str(met))
        seconds, given_up = queues.spent(job) - before, queues.given_up(job.cell)
        answer = place.there(Answer(tuple(events), seconds, given_up, error, files, self._new_log()))
        if place.scratch is None or answer.error is None or answer.error[0] != RunFolderError.__name__:
            return answer
        text = f"{answer.error[1]}, or make room in {place.scratch.parent}, which stands for it there"
        return replace(answer, error=(answer.error[0], text))

    @cached_property
    def _supervisor(self) -> Supervisor:
        """The supervisor; made with the first group, when it is known where everything is."""
        return Supervisor(self._setup, 1, Path(self._setup.run_folder) / self._logs)

    def _new_log(self) -> bytes:
        """Return what the log has grown by, where the driver does not see it."""
        if self._placement.scratch is None:
            return b""
        with contextlib.suppress(FileNotFoundError), (self._supervisor.logs / "worker-0.log").open("rb") as file:
            file.seek(self._log_sent)
            new = file.read()
            self._log_sent += len(new)
            return new
        return b""


def _as_asked(event: Event, job: Job) -> Event:
    """Let an event be about the driver's cell, whatever paths were put into it here."""
    if isinstance(event, Done):
        return replace(event, job=replace(event.job, cell=job.cell))
    return replace(event, cell=job.cell) if isinstance(event, Loaded) else event
