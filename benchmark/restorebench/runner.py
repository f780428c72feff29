"""The story of a run: suite -> plan -> work -> journal -> tables. Read this first."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.contract.catalog import require_unbroken
from restorebench.contract.errors import SuiteError
from restorebench.engine.stopping import Stop
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import SCORES, environment_key
from restorebench.plan.additions import with_additions
from restorebench.plan.build import build
from restorebench.plan.discovery import discovered
from restorebench.plan.names import look_up
from restorebench.plan.plan import Plan, score_digests
from restorebench.records import Failure, Place
from restorebench.schedule import estimates
from restorebench.schedule.origin import reopen, run_folder
from restorebench.schedule.stage import Watcher, opened
from restorebench.schedule.todo import detector_jobs, restorer_jobs
from restorebench.suite import loading as suites
from restorebench.suite.settings import Request, Settings

if TYPE_CHECKING:
    from restorebench.tables.reporting import Result


def prepare(suite: str | suites.LoadedSuite, settings: Settings, extra: Mapping[str, Any] | None = None) -> Plan:
    """Load a suite and plan it, without running anything.

    Raises:
        RestorebenchError: the suite, its data or its plugins cannot be used.
    """
    catalog = discovered(settings.plugins)
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
    loaded = with_additions(loaded, settings.request, catalog)
    roots = {"data": settings.data.resolve()} if settings.data else {}
    return build(loaded, catalog, replace(settings.request, roots=roots))


def execute(
    plan: Plan, settings: Settings, watch: Watcher = lambda event: None, stop: Stop | None = None
) -> Result:
    """Run the part of a plan that is not done yet, and write its tables.

    stop: set when the run should end after the images in progress.

    Raises:
        RestorebenchError: the folder, the device or the data cannot be used. Finished work is kept.
        Stopped: the run was asked to stop early. Finished work is kept, and no tables are written.
    """
    # pandas takes a second to import; it does so while the first worker starts.
    preloading = threading.Thread(target=import_module, args=("restorebench.tables.reporting",), daemon=True)
    preloading.start()
    with opened(plan, settings, run_folder(plan, settings), watch, stop) as stage:
        journal = stage.journal
        detecting = () if settings.scoring_only else detector_jobs(plan, journal, settings.retry_failed)
        stage.work("detect", detecting)
        restoring = restorer_jobs(plan, journal, settings.retry_failed, settings.scoring_only)
        journal.add_records(restoring.failures, score_digests(plan))
        failed = stage.work("restore", restoring.jobs)
        preloading.join()
        return _report(plan, journal, failed, settings.scoring_only)


def measure_costs(
    plan: Plan, settings: Settings, watch: Watcher = lambda event: None, stop: Stop | None = None
) -> None:
    """Run one group of each cell whose cost on this machine is not known, and keep the results in the run folder.

    Raises:
        RestorebenchError, Stopped: as in `execute`.
    """
    with opened(plan, settings, run_folder(plan, settings), watch, stop) as stage:
        detecting = detector_jobs(plan, stage.journal, settings.retry_failed)
        stage.work("detect", estimates.unseen(stage.costs, detecting))
        restoring = restorer_jobs(plan, stage.journal, settings.retry_failed).jobs
        stage.work("restore", estimates.unseen(stage.costs, restoring))


def report_again(
    folder: Path, plugins: Sequence[Path] = (), reports: Mapping[str, Mapping[str, Any]] | None = None
) -> Result:
    """Write the tables of a run again from its journal, without restoring or scoring.

    plugins: the plugin files of the run. Files that only the run folder names are not imported. reports: names of
    reporters, with their options, that write instead of those of the suite.

    Raises:
        RunFolderError: the folder holds no run, lacks a plugin, or its data or plugins changed since.
        RestorebenchError: there is no such reporter or option.
    """
    run = reopen(folder, plugins)
    plan = prepare(run.loaded, run.settings)
    run.require_same(plan)
    with journals.opened(folder) as journal:
        return _report(plan, journal, reports=reports)


def _report(
    plan: Plan,
    journal: Journal,
    failed_now: Mapping[Place, Failure] = {},
    scoring_only: bool = False,
    reports: Mapping[str, Mapping[str, Any]] | None = None,
) -> Result:
    from restorebench.tables.reporting import chosen, report

    picks = plan.suite.reports if reports is None else chosen(plan.catalog, reports)
    folder = journal.folder / SCORES if scoring_only else journal.folder
    again = "the same command" if scoring_only else f"`restorebench report {journal.folder}`"
    computed_with = journal.recall(environment_key(scoring_only)) or {}
    return report(plan, journal, folder, computed_with, again, picks, failed_now)
