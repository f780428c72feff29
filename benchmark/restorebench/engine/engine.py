"""What an engine promises: it does the jobs of a run and says what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from restorebench.engine.events import Event
from restorebench.engine.stopping import Stop
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Job, Setup

RunJobs = Callable[[Sequence[Job]], Iterator[Event]]


class Engine(Protocol):
    """What starts workers, and ends them.

    Entering gives `run(jobs)`, which yields what happens until every image of every job has come back in exactly
    one `Done`: restored, detected, scored, or a failure with its reason. It may be called again, and workers stay
    for that. Once asked to stop it begins nothing, and ends when the groups at work are done. It raises a
    `RestorebenchError` where the user has to act: data that is gone, a device that is not there, no worker that
    starts. Leaving ends every process the engine has started, whatever happened inside. What is kept, and what a
    later run continues, is not the engine's but the journal's: an engine that does a group twice does no harm.
    """

    def __call__(self, setup: Setup, settings: Settings, stop: Stop) -> AbstractContextManager[RunJobs]: ...
