"""Do the jobs of a run, stage by stage, and record the outcomes in the journal, in files and on screen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from restorebench.engine import choosing
from restorebench.engine.environment import environment
from restorebench.engine.events import Done, Event, Loaded, Note
from restorebench.engine.stopping import Stop, Stopped
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import ESTIMATE, environment_key
from restorebench.plan.plan import Plan, score_digests
from restorebench.records import FAILED, DetectionRecord, Failure, Place, Record
from restorebench.schedule import cell_specs, costs, estimates, files, origin
from restorebench.schedule.costs import Costs
from restorebench.schedule.estimates import Estimate, Ledger
from restorebench.suite.settings import Settings, cache_folder, offline
from restorebench.toolbox.cells import csv_text, guarded
from restorebench.toolbox.counts import counted
from restorebench.toolbox.files import atomic_write_text
from restorebench.worker.jobs import Job, Setup


@dataclass(frozen=True)
class Started:
    """The event that a stage begins, with the jobs it will do."""

    stage: str
    jobs: tuple[Job, ...]


Watcher = Callable[[Event | Started], None]


@contextmanager
def opened(plan: Plan, settings: Settings, folder: Path, watch: Watcher, stop: Stop | None) -> Iterator[OpenRun]:
    """Open a run folder and start an engine.

    Raises:
        RestorebenchError: the folder cannot be used or holds another suite, or the engine is not available.
    """
    stop = Stop() if stop is None else stop
    engine, known = choosing.chosen(settings), costs.load(settings.device, plan.suite.threads)
    worker_setup = setup(plan, settings, folder, known)
    with journals.opened(folder, settings.fresh) as journal, engine(worker_setup, settings, stop) as run_jobs:
        if not settings.scoring_only:
            origin.require_same_suite(journal, plan)
            journal.remember("run", origin.describe(plan, settings))
        yield OpenRun(plan, settings, journal, known, run_jobs, watch, stop)


@dataclass(frozen=True)
class OpenRun:
    """An open run, which can do the jobs of a stage and record the outcomes."""

    plan: Plan
    settings: Settings
    journal: Journal
    costs: Costs
    run_jobs: Callable[[Sequence[Job]], Iterator[Event]]
    watch: Watcher
    stop: Stop
    timed: list[dict[str, Any]] = field(default_factory=list)

    def work(self, name: str, jobs: tuple[Job, ...]) -> dict[Place, Failure]:
        """Do jobs, and record each group in one transaction as soon as it is done. Returns failed restorations.

        Raises:
            Stopped: the run was asked to stop before all jobs were done.
        """
        _tell_downloads(self.plan, jobs, self.watch)
        self.watch(Started(name, jobs))
        left = sum(len(job.samples) for job in jobs)
        failed_now: dict[Place, Failure] = {}
        expected, ledger = estimates.estimate(self.plan, self.costs, jobs), estimates.Ledger(self.plan)
        for event in _once_known(self._events(jobs, ledger), self.journal, self.settings, jobs):
            ledger.add(event)
            if isinstance(event, Loaded) and event.parameters is not None:
                self.journal.add_cell(event.cell.digest, {"parameters": event.parameters})
            elif isinstance(event, Done):
                left -= len(event.records)
                failed_now |= self._store(event)
            self.watch(event)
        self._remember(name, expected, ledger)
        if self.stop.signal is not None and left:
            raise Stopped(self.stop.signal, left)
        return failed_now

    def _events(self, jobs: tuple[Job, ...], ledger: Ledger) -> Iterator[Event]:
        """Run jobs. With several workers, measure unknown cells first, then run the longest groups first."""
        if self.settings.workers < 2:
            yield from self.run_jobs(jobs)
            return
        first = estimates.unseen(self.costs, jobs)
        if first:
            yield from self.run_jobs(first)
            self._teach(ledger)
        done = {job.key for job in first}
        rest = [job for job in jobs if job.key not in done]
        yield from self.run_jobs(estimates.longest_first(self.plan, self.costs, rest))

    def _teach(self, ledger: Ledger) -> None:
        ledger.teach(self.costs, costs.others(max(self.settings.workers, 1) * self.plan.suite.threads))

    def _remember(self, name: str, expected: Mapping[str, Estimate], ledger: Ledger) -> None:
        """Keep the costs of the stage for the next plan, and write them beside the expected ones."""
        if self.settings.one_off or self.settings.scoring_only:
            return
        self._teach(ledger)
        if self.settings.engine == "local" and (crowd := crowded(self.settings.workers * self.plan.suite.threads)):
            self.watch(Note(crowd))
        elif unwritten := costs.save(self.settings.device, self.plan.suite.threads, self.costs):
            self.watch(Note(unwritten))
        self.timed.extend(ledger.rows(expected, self.journal.folder))
        if not self.timed:
            return
        cells = [["" if value is None else value for value in row.values()] for row in self.timed]
        texts = [[guarded(cell) if isinstance(cell, str) else str(cell) for cell in row] for row in cells]
        atomic_write_text(self.journal.folder / ESTIMATE, csv_text([list(self.timed[0]), *texts]))
        if name == "restore":
            self.watch(Note(ledger.summary(expected)))

    def _store(self, event: Done) -> dict[Place, Failure]:
        digests = score_digests(self.plan)
        restored = [_scored(record, event.job) for record in event.records if isinstance(record, Record)]
        if event.job.mode == "detect":
            self.journal.add_detections(r for r in event.records if isinstance(r, DetectionRecord))
        elif event.job.mode == "restore":
            self.journal.add_records(restored, digests)
            failed = (record for record in restored if record.status == FAILED)
            return {(r.digest, r.sample, r.repetition): r.failure for r in failed if r.failure is not None}
        else:
            self.journal.add_scores(restored, digests)
        return {}


def _scored(record: Record, job: Job) -> Record:
    """Mark the columns of a job as unscored in a failed record."""
    if record.failure is None:
        return record
    columns = job.columns or [column.name for column in job.cell.columns]
    return replace(record, unscored=dict.fromkeys(columns, record.failure))


def _tell_downloads(plan: Plan, jobs: Sequence[Job], watch: Watcher) -> None:
    """Announce what will be downloaded, and under which licence."""
    for text in () if offline() else files.announced(plan, jobs, cache_folder()):
        watch(Note(text))


def _once_known(
    events: Iterator[Event], journal: Journal, settings: Settings, jobs: Sequence[Job]
) -> Iterator[Event]:
    """Yield events, after the environment in which numbers are computed has been stored.

    It is found out while the first worker starts. A run that computes nothing keeps the one that is stored.
    """
    key = environment_key(settings.scoring_only)
    if not jobs and journal.recall(key) is not None:
        yield from events
        return
    with ThreadPoolExecutor(1) as aside:
        found = aside.submit(environment, settings.workers, settings.device, settings.engine)
        first = next(events, None)
        journal.remember(key, found.result())
    yield from () if first is None else (first,)
    yield from events


def crowded(threads: int) -> str:
    """Return a note if there are more threads than cores, as their times mean little; else an empty string."""
    cores = len(os.sched_getaffinity(0))
    if threads <= cores:
        return ""
    crowd = f"{counted(threads, 'thread')} on {counted(cores, 'core')}"
    return f"{crowd} slow each other down; their times are not kept for estimates"


def setup(plan: Plan, settings: Settings, folder: Path, known: Costs) -> Setup:
    """Collect the settings that every worker of a run receives."""
    suite = plan.suite
    costs_of_cells = [cost for cell in cell_specs.cell_specs(plan) if (cost := known.of(cell)) is not None]
    return Setup(
        run_folder=str(folder.resolve()),
        threads=suite.threads,
        device=settings.device,
        roots={name: str(path) for name, path in plan.roots.items()},
        cache=str(cache_folder()),
        offline=offline(),
        limits=suite.limits.model_dump(),
        inputs=files.inputs(plan, cache_folder()),
        tasks=plan.catalog.tasks,
        repeat=not settings.one_off,
        peak_mib=max((cost.peak_mib for cost in costs_of_cells if cost.peak_mib is not None), default=None),
    )
