"""The story of a run: suite -> plan -> outcomes -> journal -> tables -> files. Read this first."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench import estimates, origin, planning, schedule, stages
from restorebench import suite as suites
from restorebench.contract.cards import resolve
from restorebench.contract.catalog import discover, first_line, require_unbroken
from restorebench.contract.errors import BrokenPlugin, SuiteError
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import SCORES
from restorebench.naming import look_up
from restorebench.plan import Plan, Request, with_parameters
from restorebench.records import FAILED, OK, WHOLE_IMAGE, Record
from restorebench.settings import Settings
from restorebench.stages import Place, Watcher, environment_key
from restorebench.stopping import Stop
from restorebench.tables.manifest import manifest
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import validated_options

if TYPE_CHECKING:
    from restorebench.tables.build import Tables


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
    preloading = threading.Thread(target=import_module, args=("restorebench.tables.build",), daemon=True)
    preloading.start()
    with stages.opened(plan, settings, run_folder(plan, settings), watch, stop) as stage:
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
    with stages.opened(plan, settings, run_folder(plan, settings), watch, stop) as stage:
        detecting = schedule.detector_jobs(plan, stage.journal, settings.retry_failed)
        stage.work("detect", estimates.unseen(stage.costs, detecting))
        restoring = schedule.restorer_jobs(plan, stage.journal, settings.retry_failed).jobs
        stage.work("restore", estimates.unseen(stage.costs, restoring))


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
    from restorebench.tables.build import build

    board = with_parameters(plan.board, journal.parameters())
    records = [_with_failure(record, failed_now) for record in schedule.records(plan, journal)]
    detections = list(schedule.detections(plan, journal))
    tables = build(board, records, detections)
    folder = journal.folder / SCORES if scoring_only else journal.folder
    folder.mkdir(exist_ok=True)
    computed_with = journal.recall(environment_key(scoring_only)) or {}
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
