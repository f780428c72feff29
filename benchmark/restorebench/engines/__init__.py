"""Who does the work of a run: this very process, worker processes beside it, or Ray's actors on many machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from restorebench.contract.errors import RestorebenchError
from restorebench.events import Event
from restorebench.jobs import Job, Setup
from restorebench.settings import Settings
from restorebench.stopping import Stop

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


def chosen(settings: Settings) -> Engine:
    """Return the engine that settings ask for; importing only that one.

    Raises:
        RestorebenchError: there is no such engine, it is not installed, or an option is another engine's.
    """
    if settings.engine == "ray":
        if settings.workers == 0:
            raise RestorebenchError("--workers 0 runs in this very process: give Ray 1 or more, or leave --engine")
        from restorebench.engines import ray_engine

        return ray_engine.opened
    if settings.engine != "local":
        raise RestorebenchError(f"--engine {settings.engine}: there is no such engine; use local or ray")
    if settings.address is not None or settings.gpus_per_worker is not None:
        option = "--gpus-per-worker" if settings.address is None else "--address"
        raise RestorebenchError(f"{option} is for --engine ray")
    if settings.workers == 0:
        from restorebench.engines import in_process

        return in_process.opened
    from restorebench.engines import local

    return local.opened
