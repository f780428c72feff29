"""Run jobs in this very process: breakpoints work, but nothing is isolated and no time limit holds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from restorebench.contract.errors import DeviceError, from_worker
from restorebench.engine.engine import RunJobs
from restorebench.engine.events import Done, Event, Loaded, failures
from restorebench.engine.queues import cell_name, plugin_work
from restorebench.engine.stopping import Stop
from restorebench.records import detection_from, record_from
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Job, Setup


@contextmanager
def opened(setup: Setup, settings: Settings, stop: Stop) -> Iterator[RunJobs]:
    """Give what runs jobs here and now. settings: those of other engines mean nothing here."""
    yield partial(run, setup, stop)


def run(setup: Setup, stop: Stop, jobs: Sequence[Job]) -> Iterator[Event]:
    """Do what a worker and its supervisor do, one job after the other, until asked to stop.

    Raises:
        DeviceError: the device is not here.
        RestorebenchError: what a worker refuses, such as data that is gone.
    """
    from restorebench.worker.session import Session, devices  # imports torch

    device = ("cuda:0" if len(devices()) > 1 else "cpu") if setup.device == "auto" else setup.device
    if device not in devices():
        raise DeviceError(f"--device {device} is not here; there are {', '.join(devices())}")
    session = Session(asdict(replace(setup, device=device)))
    loaded: str | None = None
    dead: dict[tuple[str, str], str] = {}
    for job in jobs:
        if stop:
            return
        name, work = cell_name(job), plugin_work(job.cell)
        began = time.monotonic()
        if loaded != name and work not in dead:
            answer = _accepted(session.handle({"type": "load", "cell": asdict(job.cell)}))
            if answer["type"] == "failed":
                dead[work], loaded = answer["reason"], None  # what was loaded before had to make room
            else:
                loaded = name
                yield Loaded(job.cell, answer["parameters"], time.monotonic() - began)
        if work in dead:
            yield Done(job, failures(job, dead[work]))
            continue
        began = time.monotonic()
        answer = _accepted(session.handle({"type": "job", **asdict(job)}))
        build = detection_from if job.mode == "detect" else record_from
        if answer["type"] == "failed":
            yield Done(job, failures(job, answer["reason"]))
        else:
            yield Done(job, tuple(build(raw) for raw in answer["records"]), time.monotonic() - began)


def _accepted(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer["type"] == "refused":
        raise from_worker(answer["error"], answer["message"])
    return answer
