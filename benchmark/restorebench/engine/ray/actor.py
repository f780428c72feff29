"""The code of each Ray actor: a supervisor with one worker process. It imports neither ray nor torch.

A plugin that crashes, hangs or leaks memory ends a worker, not the actor. No actor holds GPU memory, so ending the
worker frees all of it.
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
    """An actor's machine: its name, its package versions, and the driver's files and folders that it lacks."""

    host: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Settled:
    """An actor has received the files that it lacked. error: type and message if it could not receive them."""

    error: tuple[str, str] | None = None


@dataclass(frozen=True)
class Answer:
    """The outcome of a group.

    seconds: time to charge to its cell. given_up: why its cell is given up, or None. error: type and message of an
    error that the user has to fix; then events are incomplete. files: files written to a run folder that is not
    the driver's, {relative path: bytes}. log: bytes that were added to the worker's log there.
    """

    events: tuple[Event, ...]
    seconds: float
    given_up: Failure | None = None
    error: tuple[str, str] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    log: bytes = b""


class GroupActor:
    """Does one group per call. However the actor ends, the kernel ends its worker with it."""

    def __init__(self, setup: Setup, number: int, folder: str, environment: Mapping[str, str]) -> None:
        """Prepare; the worker starts with the first group.

        number: part of the name of its log folder. folder: the driver's working folder. environment: variables of
        the driver that plugins and the cache use.
        """
        self._own_cache = cache_folder()  # before the driver's variables replace it
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # the folder is not on this machine
            os.chdir(folder)
        self._setup = setup
        self._placement = Placement(setup)
        self._logs = Path("logs") / f"actor-{number}"
        self._log_sent = 0

    def surroundings(self, mark: str, glimpses: Mapping[str, Glimpse]) -> Surroundings:
        """Return the machine's name, its versions, and the inputs that it lacks.

        mark: a file in the run folder that the driver has just made. glimpses: what the driver sees of each input.
        """
        missing = [] if sees(mark, {"": 0}) else [self._setup.run_folder]
        missing += [path for path, seen in glimpses.items() if not sees(path, seen)]
        return Surroundings(platform.node(), environment.installed(), tuple(missing))

    def settle(self, missing: Sequence[str], files: Files) -> Settled:
        """Fetch the missing files and folders. files: their source."""
        try:
            self._placement = Placement(self._setup, missing, files, self._own_cache)
        except RestorebenchError as error:
            return Settled((type(error).__name__, str(error)))
        self._setup = self._placement.setup(self._own_cache)
        os.environ["RESTOREBENCH_HOME"] = self._setup.cache
        return Settled()

    def run(self, job: Job, spent_elsewhere: float) -> Answer:
        """Do a group. spent_elsewhere: seconds that its cell has spent on other actors."""
        queues, placement = self._supervisor.queues, self._placement
        queues.spent_elsewhere(job, spent_elsewhere)
        before, events, files, error = queues.spent(job), list[Event](), dict[str, bytes](), None
        try:
            with placement.with_outputs(job.outputs):
                for event in self._supervisor.run([placement.here(job)]):
                    events.append(_as_asked(event, job))
        except (RestorebenchError, OSError) as met:
            error = (type(met).__name__, str(met))
        try:
            files = placement.take_written()
        except OSError as met:  # no record may name an image that is not sent with it
            events, error = [], error or (type(met).__name__, str(met))
        seconds, given_up = queues.spent(job) - before, queues.given_up(job.cell)
        answer = placement.there(Answer(tuple(events), seconds, given_up, error, files, self._new_log()))
        if placement.scratch is None or answer.error is None or answer.error[0] != RunFolderError.__name__:
            return answer
        text = f"{answer.error[1]}, or make room in {placement.scratch.parent}, which replaces it there"
        return replace(answer, error=(answer.error[0], text))

    @cached_property
    def _supervisor(self) -> Supervisor:
        """The supervisor; made with the first group, once the paths of all files are known."""
        return Supervisor(self._setup, 1, Path(self._setup.run_folder) / self._logs)

    def _new_log(self) -> bytes:
        """Return the bytes added to the log since the last call; empty if the driver sees the log itself."""
        if self._placement.scratch is None:
            return b""
        with contextlib.suppress(FileNotFoundError), (self._supervisor.logs / "worker-0.log").open("rb") as file:
            file.seek(self._log_sent)
            new = file.read()
            self._log_sent += len(new)
            return new
        return b""


def _as_asked(event: Event, job: Job) -> Event:
    """Put the driver's cell back into an event, as the cell here has this machine's paths."""
    if isinstance(event, Done):
        return replace(event, job=replace(event.job, cell=job.cell))
    return replace(event, cell=job.cell) if isinstance(event, Loaded) else event
