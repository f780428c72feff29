"""The story of a run: suite -> plan -> outcomes -> journal -> tables -> files. Read this first."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench import costs, downloads, engines, estimates, origin, planning, schedule
from restorebench import journal as journals
from restorebench import suite as suites
from restorebench.catalog import discover, first_line, require_unbroken
from restorebench.contracts import resolve
from restorebench.costs import Costs
from restorebench.errors import BrokenPlugin, SuiteError
from restorebench.estimates import Estimate, Ledger
from restorebench.events import Done, Event, Loaded, Note
from restorebench.jobs import Job, Setup
from restorebench.journal import Journal
from restorebench.layout import ESTIMATE, SCORES
from restorebench.manifest import environment, manifest
from restorebench.naming import look_up
from restorebench.plan import Plan, Request, with_parameters
from restorebench.records import FAILED, OK, WHOLE_IMAGE, DetectionRecord, Record
from restorebench.settings import Settings, cache_folder, offline
from restorebench.stopping import Stop, Stopped
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import validated_options

if TYPE_CHECKING:
    from restorebench.tables import Tables


@dataclass(frozen=True)
class Started:
    """A stage begins, with the jobs it will do."""

    stage: str
    jobs: tuple[Job, ...]


Watcher = Callable[[Event | Started], None]
Place = tuple[str, str, int]
"""Digest of a cell, sample and repetition: what a record is about."""


@dataclass(frozen=True)
class Result:
    """A finished run: its plan, its tables (pandas), its folder, the files written and the failures."""

    plan: Plan
    tables: Tables
    folder: Path
    files: tuple[Path, ...]
    failed: int


def prepare(suite: str | suites.LoadedSuite, settings: Settings, extra: Mapping[str, Any] | None = None) -> Plan:
    """Load a suite and plan it; nothing runs.

    Raises:
        RestorebenchError: whatever is wrong with the suite, its data or its plugins.
    """
    catalog = discover(settings.plugins)
    require_unbroken(catalog, settings.plugins)
    try:
        loaded = (
            suite
            if isinstance(suite, suites.LoadedSuite)
            else suites.load(suite, settings.overrides, settings.data, extra)
        )
    except suites.InvalidSuite as error:
        if error.rest is None:
            raise
        raise SuiteError("\n".join([str(error), *look_up(error.rest, catalog, Request()).problems])) from None
    roots = {"data": settings.data.resolve()} if settings.data else {}
    return planning.build(loaded, catalog, replace(settings.request, roots=roots))


def run_folder(plan: Plan, settings: Settings) -> Path:
    """Return where a run is kept: `runs/<suite>`, or what the user chose."""
    return settings.out or Path("runs") / plan.suite.suite


def execute(
    plan: Plan, settings: Settings, watch: Watcher = lambda event: None, stop: Stop | None = None
) -> Result:
    """Run what is not yet done of a plan, and write its tables.

    stop: becomes true when the run shall end after the images at work.

    Raises:
        RestorebenchError: the folder, the device or the data cannot be used. What was done is kept.
        Stopped: it was asked to stop before all was done. What was done is kept; no tables are written.
    """
    # pandas takes a second to import; it does so while the first worker starts.
    preloading = threading.Thread(target=import_module, args=("restorebench.tables",), daemon=True)
    preloading.start()
    with _stage(plan, settings, watch, stop) as stage:
        journal = stage.journal
        jobs = () if settings.scoring_only else schedule.detector_jobs(plan, journal, settings.retry_failed)
        stage.work("detect", jobs)
        todo = schedule.restorer_jobs(plan, journal, settings.retry_failed, settings.scoring_only)
        journal.add_records(todo.failures, schedule.score_digests(plan))
        failed = stage.work("restore", todo.jobs)
        preloading.join()
        return report(plan, journal, failed, settings.scoring_only)


def calibrate(
    plan: Plan, settings: Settings, watch: Watcher = lambda event: None, stop: Stop | None = None
) -> None:
    """Do one group of each cell whose cost on this machine is not known, and keep it in the run folder.

    Raises:
        RestorebenchError, Stopped: as `execute`.
    """
    with _stage(plan, settings, watch, stop) as stage:
        detecting = schedule.detector_jobs(plan, stage.journal, settings.retry_failed)
        stage.work("detect", estimates.unseen(stage.costs, detecting))
        restoring = schedule.restorer_jobs(plan, stage.journal, settings.retry_failed).jobs
        stage.work("restore", estimates.unseen(stage.costs, restoring))


@contextmanager
def _stage(plan: Plan, settings: Settings, watch: Watcher, stop: Stop | None) -> Iterator[_Stage]:
    """Open the run folder and start the engine."""
    folder = run_folder(plan, settings)
    stop = Stop() if stop is None else stop
    engine, told = engines.chosen(settings), setup(plan, settings, folder)
    with journals.opened(folder, settings.fresh) as journal, engine(told, settings, stop) as run_jobs:
        if not settings.scoring_only:
            origin.require_same_suite(journal, plan)
            journal.remember("run", origin.describe(plan, settings))
        known = costs.load(settings.device, plan.suite.threads)
        yield _Stage(plan, settings, journal, known, run_jobs, watch, stop)


def _tell_downloads(plan: Plan, jobs: Sequence[Job], watch: Watcher) -> None:
    """Say what is about to be downloaded, and under which licence."""
    for text in () if offline() else downloads.announced(plan, jobs, cache_folder()):
        watch(Note(text))


def _remember_environment(journal: Journal, settings: Settings, jobs: Sequence[Job]) -> None:
    """Keep what the numbers are computed with; a run that computes nothing leaves it as it was."""
    key = _environment_key(settings.scoring_only)
    if jobs or journal.recall(key) is None:
        journal.remember(key, environment(settings.workers, settings.device, settings.engine))


def _environment_key(scoring_only: bool) -> str:
    return "environment of scores" if scoring_only else "environment"


def report_again(folder: Path, plugins: Sequence[Path] = ()) -> Result:
    """Write the tables of a run again from its journal; nothing is restored or scored.

    plugins: the plugin files that it was run with; those it names itself are not imported for that.

    Raises:
        RunFolderError: the folder holds no run, lacks a plugin, or its data or plugins changed since.
    """
    run = origin.reopen(folder, plugins)
    plan = prepare(run.loaded, run.settings)
    run.require_same(plan)
    with journals.opened(folder) as journal:
        return report(plan, journal)


def report(
    plan: Plan, journal: Journal, failed_now: Mapping[Place, str] = {}, scoring_only: bool = False
) -> Result:
    """Build the tables from the journal and write them with every reporter of the suite.

    failed_now: images that this run could not restore, with the reasons. One that worked in an earlier run keeps
    its numbers, and its failure is listed and counted. scoring_only: write into the folder of scores.

    Raises:
        BrokenPlugin: a reporter failed; all others have written.
    """
    from restorebench.tables import build

    board = with_parameters(plan.board, journal.parameters())
    records = [_with_failure(record, failed_now) for record in schedule.records(plan, journal)]
    detections = list(schedule.detections(plan, journal))
    tables = build(board, records, detections)
    folder = journal.folder / SCORES if scoring_only else journal.folder
    folder.mkdir(exist_ok=True)
    computed_with = journal.recall(_environment_key(scoring_only)) or {}
    text = json.dumps(manifest(plan, computed_with), indent=2, ensure_ascii=False)
    files = [folder / "manifest.json"]
    atomic_write_text(files[0], text + "\n")
    broken = []
    for name in plan.suite.reports:
        card = plan.catalog.find("reporter", name)
        try:
            files += resolve(card.load)(validated_options(card, {}), None).write(tables, folder)
        except Exception as error:  # a plugin's, and the other reports are still worth having
            broken.append(f"reporter {name!r} failed: {type(error).__name__}: {first_line(error)}")
    if broken:
        command = "the same command" if scoring_only else f"`restorebench report {journal.folder}`"
        again = f"all else is in {folder}; {command} tries again"
        raise BrokenPlugin("; ".join([*broken, again]))
    failed = sum(r.status == FAILED or bool(r.unscored) for r in records)
    failed += sum(d.status == FAILED for d in detections)
    return Result(plan, tables, folder, tuple(files), failed)


def _with_failure(record: Record, failed_now: Mapping[Place, str]) -> Record:
    """Add why an image that worked before could not be restored again, unless a score that lacks says so."""
    why = failed_now.get((record.digest, record.sample, record.repetition))
    if record.status != OK or why is None or record.unscored:
        return record
    return replace(record, unscored={WHOLE_IMAGE: why})


@dataclass(frozen=True)
class _Stage:
    """What both stages of a run need to do their jobs."""

    plan: Plan
    settings: Settings
    journal: Journal
    costs: Costs
    run_jobs: Callable[[Sequence[Job]], Iterator[Event]]
    watch: Watcher
    stop: Stop
    timed: list[dict[str, Any]] = field(default_factory=list)

    def work(self, name: str, jobs: tuple[Job, ...]) -> dict[Place, str]:
        """Put down what happens, one transaction per group, as it happens. Returns the restorations that failed.

        Raises:
            Stopped: not all was done, as somebody asked to stop.
        """
        _remember_environment(self.journal, self.settings, jobs)
        _tell_downloads(self.plan, jobs, self.watch)
        self.watch(Started(name, jobs))
        left = sum(len(job.samples) for job in jobs)
        failed_now: dict[Place, str] = {}
        expected, ledger = estimates.estimate(self.plan, self.costs, jobs), estimates.Ledger(self.plan)
        for event in self._events(jobs, ledger):
            ledger.add(event)
            if isinstance(event, Loaded) and event.parameters is not None:
                self.journal.add_cell(event.cell.digest, {"parameters": event.parameters})
            elif isinstance(event, Done):
                left -= len(event.records)
                failed_now |= self._put_down(event)
            self.watch(event)
        self._remember(name, expected, ledger)
        if self.stop.signal is not None and left:
            raise Stopped(self.stop.signal, left)
        return failed_now

    def _events(self, jobs: tuple[Job, ...], ledger: Ledger) -> Iterator[Event]:
        """Run jobs: on several workers the longest groups first, once it is known which those are."""
        if self.settings.workers < 2:
            yield from self.run_jobs(jobs)
            return
        first = estimates.unseen(self.costs, jobs)
        if first:
            yield from self.run_jobs(first)
            ledger.teach(self.costs)
        done = {id(job) for job in first}
        rest = [job for job in jobs if id(job) not in done]
        yield from self.run_jobs(estimates.longest_first(self.plan, self.costs, rest))

    def _remember(self, name: str, expected: Mapping[str, Estimate], ledger: Ledger) -> None:
        """Keep what the stage took for the next plan, and show it beside what was expected."""
        if self.settings.one_off or self.settings.scoring_only:
            return
        ledger.teach(self.costs)
        costs.save(self.settings.device, self.plan.suite.threads, self.costs)
        self.timed.extend(ledger.rows(expected, self.journal.folder))
        if not self.timed:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, self.timed[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.timed)
        atomic_write_text(self.journal.folder / ESTIMATE, text.getvalue())
        if name == "restore":
            self.watch(Note(ledger.summary(expected)))

    def _put_down(self, event: Done) -> dict[Place, str]:
        digests = schedule.score_digests(self.plan)
        restored = [_scored(record, event.job) for record in event.records if isinstance(record, Record)]
        if event.job.mode == "detect":
            self.journal.add_detections(r for r in event.records if isinstance(r, DetectionRecord))
        elif event.job.mode == "restore":
            self.journal.add_records(restored, digests)
            failed = (record for record in restored if record.status == FAILED)
            return {(r.digest, r.sample, r.repetition): r.reason for r in failed}
        else:
            self.journal.add_scores(restored, digests)
        return {}


def _scored(record: Record, job: Job) -> Record:
    """Let a failure say that it leaves the columns of its job without scores."""
    if record.status != FAILED:
        return record
    columns = job.columns or [column[0] for column in job.cell.columns]
    return replace(record, unscored=dict.fromkeys(columns, record.reason))


def setup(plan: Plan, settings: Settings, folder: Path) -> Setup:
    """Gather what every worker of a run is told."""
    suite = plan.suite
    return Setup(
        run_folder=str(folder.resolve()),
        threads=suite.threads,
        device=settings.device,
        roots={name: str(path) for name, path in plan.roots.items()},
        cache=str(cache_folder()),
        offline=offline(),
        limits=suite.limits.model_dump(),
    )
