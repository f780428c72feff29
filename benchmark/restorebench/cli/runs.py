"""The commands run, validate, schema and report."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorebench.cli import options
from restorebench.contract.errors import SuiteError
from restorebench.toolbox.cells import visible

if TYPE_CHECKING:
    from restorebench.engine.stopping import Stop
    from restorebench.plan.plan import Plan
    from restorebench.schedule.estimates import Estimate
    from restorebench.schedule.stage import Watcher
    from restorebench.suite.settings import Settings
    from restorebench.tables.reporting import Result
    from restorebench.worker.jobs import Job


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)
    app.command()(validate)
    app.command()(schema)
    app.command()(report)


def run(
    suite: options.SuiteName,
    data: options.Data = None,
    out: options.Out = None,
    overrides: options.Set = None,
    restorers: options.Restorers = None,
    tasks: options.Tasks = None,
    limit: options.Limit = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
    engine: options.Engine = "local",
    address: options.Address = None,
    gpus_per_worker: options.GpusPerWorker = None,
    save: options.Save = None,
    samples: options.Samples = None,
    dry_run: options.DryRun = False,
    calibrate: options.Calibrate = False,
    fresh: options.Fresh = False,
    retry_failed: options.RetryFailed = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a suite and write its leaderboard. The same command again continues where it stopped."""
    from restorebench import runner
    from restorebench.suite.settings import Request, Settings

    settings = Settings(
        out=out,
        data=data,
        device=options.device(device),
        workers=workers,
        engine=engine,
        address=address,
        gpus_per_worker=gpus_per_worker,
        fresh=fresh,
        retry_failed=retry_failed,
        plugins=tuple(plugin or ()),
        overrides=tuple(overrides or ()),
        request=Request(tasks=options.names(tasks), restorers=options.names(restorers), limit=limit),
    )
    extra = {name: value for name, value in (("save", save), ("samples", samples)) if value is not None}
    plan = runner.prepare(suite, settings, extra)
    if calibrate:
        with _shown(plan, quiet) as (watch, stop):
            runner.measure_costs(plan, settings, watch, stop)
        print_plan(plan, replace(settings, fresh=False), "one group of each unmeasured cell was run")
    elif dry_run:
        print_plan(plan, settings)
    else:
        finish(carry_out(plan, settings, quiet))


def finish(result: Result, every_column: bool = False) -> None:
    """Print a result, and exit with code 3 if there are failures."""
    print_result(result, every_column)
    if result.failed:
        raise typer.Exit(3)


def carry_out(plan: Plan, settings: Settings, quiet: bool = False) -> Result:
    """Execute a plan and show its progress."""
    from restorebench import runner

    with _shown(plan, quiet) as (watch, stop):
        return runner.execute(plan, settings, watch, stop)


@contextmanager
def _shown(plan: Plan, quiet: bool) -> Iterator[tuple[Watcher, Stop]]:
    """Show notes and progress; if interrupted, say how to continue."""
    from restorebench.cli.progress import watching
    from restorebench.engine.stopping import heeded

    for note in (*plan.notes, *plan.missing) if not quiet else ():
        options.tell(f"note: {note}")
    with options.interruptible("the same command again continues"), watching(quiet) as watch, heeded() as stop:
        yield watch, stop


def print_plan(plan: Plan, settings: Settings, ran: str = "nothing was run") -> None:
    """Print all cells of a plan, what is left to do and its cost. ran: what was run, for the last line."""
    from rich.console import Console
    from rich.table import Table

    from restorebench.schedule import costs, estimates

    left, begun = _outstanding(plan, settings)
    expected = estimates.estimate(plan, costs.load(settings.device, plan.suite.threads), left)
    headers = (
        "task",
        "dataset",
        "restorer",
        "told",
        "images",
        "groups",
        "time",
        "memory",
        "disk",
        "digest",
        "remark",
    )
    table = Table(*headers, box=None)
    for detecting in plan.detector_cells:
        data = detecting.data
        table.add_row(
            data.task, visible(data.label), visible(detecting.label), "",
            str(data.wanted), str(len(data.groups)),
            *_expected(expected.get(detecting.digest)), detecting.digest, "detector",
        )  # fmt: skip
    for cell in plan.restorer_cells:
        data = cell.data
        table.add_row(
            data.task, visible(data.label), visible(cell.label), visible(cell.tell),
            str(data.wanted), str(len(data.groups)),
            *_expected(expected.get(cell.digest)), cell.digest, f"skipped: {cell.skipped}" if cell.skipped else "",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)
    for note in (*plan.notes, *plan.missing):
        print(visible(f"note: {note}"))
    images = sum(c.data.wanted * c.repetitions for c in plan.restorer_cells if not c.skipped)
    remaining = sum(len(job.samples) for job in left if job.mode == "restore")
    print(estimates.summary(expected.values(), settings.workers))
    done = f", {remaining} still to do" if begun else ""
    print(f"{len(plan.restorer_cells)} cells, {images} restorations{done}; {ran}")


def _outstanding(plan: Plan, settings: Settings) -> tuple[tuple[Job, ...], bool]:
    """Return the jobs that are left to do, and whether the run folder holds an earlier run that is continued."""
    from restorebench.journal import journal
    from restorebench.schedule import todo
    from restorebench.schedule.origin import run_folder

    folder = run_folder(plan, settings)
    with journal.looked_at(folder) as found:
        known = journal.empty(folder) if found is None or settings.fresh else found
        return todo.outstanding(plan, known, settings.retry_failed), known is found


def _expected(cell: Estimate | None) -> tuple[str, str, str]:
    """Format time, memory and disk of a cell for the table; dashes if nothing is left to do."""
    if cell is None:
        return "-", "-", "-"
    seconds = "?" if cell.seconds is None else str(timedelta(seconds=math.ceil(cell.seconds)))
    memory = "?" if cell.peak_mib is None else f"{'>' if cell.larger else ''}{cell.peak_mib:.0f} MiB"
    return seconds, memory, f"{cell.disk / 1e6:.0f} MB"


def print_result(result: Result, every_column: bool = False) -> None:
    """Print the table of scores per task, the number of failures, and the paths of the files."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from restorebench.cli.summary import summary

    board = result.tables.board
    rows = summary(result.tables, None if every_column else 2)
    table = Table(
        *(escape(visible(name)) for name in rows[0]),
        title=f"{board.suite} (version {board.version})",
        title_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows[1:]:
        table.add_row(*(escape(visible(text)) for text in row))
    needed = 1 + sum(3 + max(map(len, column)) for column in zip(*rows, strict=True))
    width = None if sys.stdout.isatty() else max(needed, 40 + 22 * len(rows[0]))
    Console(width=width, highlight=False).print(table)
    if result.failed:
        print(f"{result.failed} failures: {result.folder / 'failures.csv'}")
    print(f"tables: {result.folder / 'leaderboard.csv'} and the files beside it")


def validate(
    suite: options.SuiteName,
    data: options.Data = None,
    overrides: options.Set = None,
    plugin: options.Plugin = None,
) -> None:
    """Check a suite, its plugins and its data, without running anything."""
    from restorebench import runner
    from restorebench.suite.settings import Settings

    settings = Settings(data=data, plugins=tuple(plugin or ()), overrides=tuple(overrides or ()))
    plan = runner.prepare(suite, settings)
    if plan.missing:
        raise SuiteError("\n".join(plan.missing))
    for note in plan.notes:
        print(visible(f"note: {note}"))
    print(
        f"{plan.loaded.source}: valid; {len(plan.restorer_cells)} cells, {len(plan.detector_cells)} detector cells"
    )


def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from restorebench.suite.loading import schema as suite_schema

    print(json.dumps(suite_schema(), indent=2))


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    plugin: options.Plugin = None,
) -> None:
    """Write the tables of a run again from its journal, without restoring or scoring."""
    from restorebench import runner

    finish(runner.report_again(folder, tuple(plugin or ())))
