"""The engine that runs jobs in worker processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restorebench.engine.engine import RunJobs
from restorebench.engine.stopping import Stop
from restorebench.engine.supervisor import Supervisor
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Setup


@contextmanager
def opened(setup: Setup, settings: Settings, stop: Stop) -> Iterator[RunJobs]:
    """Give a function that runs jobs in up to `settings.workers` processes, which are started when needed."""
    with Supervisor(setup, settings.workers, Path(setup.run_folder) / "logs", stop) as supervisor:
        yield supervisor.run
