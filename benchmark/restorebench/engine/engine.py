"""The interface of an engine, which does the jobs of a run and reports events."""

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
    """An engine starts workers, gives them jobs, and ends them.

    Entering its context gives `run(jobs)`, which yields events until every image of every job has come back in
    exactly one `Done`: restored, detected, scored, or as a failure with its reason. It may be called again, and
    workers stay alive for that. Once asked to stop, it begins no new group, and returns when running groups end.
    It raises a `RestorebenchError` if the user has to act: data are gone, a device is missing, no worker starts.
    Leaving the context ends all processes that the engine has started, whatever happened inside. The journal, not
    the engine, keeps the results and knows what a later run continues, so doing a group twice does no harm.
    """

    def __call__(self, setup: Setup, settings: Settings, stop: Stop) -> AbstractContextManager[RunJobs]: ...
