"""What runs in each of Ray's actors: a supervisor with one worker process. It imports neither ray nor torch.

A plugin that crashes, hangs or leaks ends a worker, not the actor; and no actor holds a GPU's memory, so that
ending the worker frees all of it.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from restorebench import versions
from restorebench.errors import RestorebenchError
from restorebench.events import Event
from restorebench.jobs import Job, Setup
from restorebench.supervisor import Supervisor


@dataclass(frozen=True)
class Surroundings:
    """Where an actor is: the machine, the versions there, and which of the driver's files and folders are not."""

    host: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What came of a group.

    seconds: what its cell is to be charged with. given_up: why its cell is hopeless, or None. error: type and
    message of what the user has to mend; then the events are not all.
    """

    events: tuple[Event, ...]
    seconds: float
    given_up: str | None = None
    error: tuple[str, str] | None = None


class GroupActor:
    """Does one group per call. Its worker ends with it: the kernel sees to that, however the actor ends."""

    def __init__(self, setup: Setup, number: int, folder: str, environment: Mapping[str, str]) -> None:
        """Prepare; the worker starts with the first group.

        number: names the folder of its worker's log. folder: the driver's working folder. environment: variables
        of the driver that plugins and the cache look at.
        """
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # not on this machine
            os.chdir(folder)
        self._setup = setup
        self._supervisor = Supervisor(setup, 1, Path(setup.run_folder) / "logs" / f"actor-{number}")

    def surroundings(self, mark: str) -> Surroundings:
        """Say where this is. mark: a file in the run folder that the driver has just made."""
        places = [mark, *self._setup.roots.values()]
        return Surroundings(
            platform.node(), versions.installed(), tuple(place for place in places if not Path(place).exists())
        )

    def run(self, job: Job, spent_elsewhere: float) -> Answer:
        """Do a group. spent_elsewhere: how many seconds its cell has been at work on other actors."""
        queues = self._supervisor.queues
        queues.spent_elsewhere(job, spent_elsewhere)
        before, events = queues.spent(job), list[Event]()
        try:
            for event in self._supervisor.run([job]):
                events.append(event)
        except RestorebenchError as error:
            return Answer(tuple(events), queues.spent(job) - before, error=(type(error).__name__, str(error)))
        return Answer(tuple(events), queues.spent(job) - before, queues.given_up(job.cell))
