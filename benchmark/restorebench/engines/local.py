"""Run jobs in worker processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restorebench.engines import RunJobs
from restorebench.jobs import Setup
from restorebench.settings import Settings
from restorebench.stopping import Stop
from restorebench.supervisor import Supervisor


@contextmanager
def opened(setup: Setup, settings: Settings, stop: Stop) -> Iterator[RunJobs]:
    """Give what runs jobs on up to `settings.workers` processes, started when they are needed."""
    with Supervisor(setup, settings.workers, Path(setup.run_folder) / "logs", stop) as supervisor:
        yield supervisor.run
