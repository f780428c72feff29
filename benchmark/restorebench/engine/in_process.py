"""The engine that runs jobs in this process: breakpoints work, but plugins are not isolated or limited in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from restorebench.contract.errors import DeviceError, from_worker
from restorebench.engine.engine import RunJobs
from restorebench.engine.events import Done, Event, Loaded, failures
from restorebench.engine.queues import cell_name, plugin_work
from restorebench.engine.stopping import Stop
from restorebench.records import Failure
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Job, Setup
from restorebench.worker.messages import Answer, Detected, Failed, Ready, Recorded, Refused


@contextmanager
def opened(setup: Setup, settings: Settings, stop: Stop) -> Iterator[RunJobs]:
    """Give a function that runs jobs in this process. settings: not used, as this engine has none of its own."""
    yield partial(run, setup, stop)


def run(setup: Setup, stop: Stop, jobs: Sequence[Job]) -> Iterator[Event]:
    """Do the work of a worker and its supervisor, one job after the other, until asked to stop.

    Raises:
        DeviceError: this machine does not have the device.
        RestorebenchError: the user has to act, for example because data are gone.
    """
    from restorebench.worker.session import Session, devices  # imports torch

    device = ("cuda:0" if len(devices()) > 1 else "cpu") if setup.device == "auto" else setup.device
    if device not in devices():
        raise DeviceError(f"--device {device} is not here; there are {', '.join(devices())}")
    session = Session(replace(setup, device=device))
    loaded: str | None = None
    dead: dict[tuple[str, str], Failure] = {}
    for job in jobs:
        if stop:
            return
        name, work = cell_name(job), plugin_work(job.cell)
        began = time.monotonic()
        if loaded != name and work not in dead:
            answer = _accepted(session.handle(job.cell))
            if isinstance(answer, Failed):
                dead[work], loaded = answer.failure, None  # the plugin that was loaded before has been released
            elif isinstance(answer, Ready):
                loaded = name
                yield Loaded(job.cell, answer.parameters, time.monotonic() - began)
        if work in dead:
            yield Done(job, failures(job, dead[work]))
            continue
        began = time.monotonic()
        answer = _accepted(session.handle(job))
        if isinstance(answer, Failed):
            yield Done(job, failures(job, answer.failure))
        elif isinstance(answer, Recorded | Detected):
            yield Done(job, answer.records, time.monotonic() - began)


def _accepted(answer: Answer) -> Answer:
    if isinstance(answer, Refused):
        raise from_worker(answer.error, answer.message)
    return answer
