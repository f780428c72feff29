"""The commands run, validate, schema and report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console, options, plans
from restorebench.contract.errors import RestorebenchError, SuiteError
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.engine.stopping import Stop
    from restorebench.plan.plan import Plan
    from restorebench.schedule.stage import Watcher
    from restorebench.suite.settings import Settings
    from restorebench.tables.reporting import Result


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
    add: options.Add = None,
    tasks: options.Tasks = None,
    limit: options.Limit = None,
    metrics: options.SuiteMetrics = None,
    protocols: options.SuiteProtocols = None,
    timeout: options.Timeout = None,
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
    from restorebench.suite.settings import Request, Settings

    settings = Settings(
        out=out,
        data=data,
        device=options.device_of(device),
        workers=workers,
        engine=engine,
        address=address,
        gpus_per_worker=gpus_per_worker,
        fresh=fresh,
        retry_failed=retry_failed,
        plugins=tuple(plugin or ()),
        overrides=(*(overrides or ()), *([f"limits.image_seconds={timeout}"] if timeout else ())),
        request=Request(options.names(tasks), options.names(restorers), options.names(add) or (), limit),
    )
    plan = _planned(suite, settings, _keys(save, samples, metrics, protocols))
    if calibrate:
        _measure_costs(plan, settings, quiet)
    elif dry_run:
        plans.print_plan(plan, settings)
    else:
        finish(carry_out(plan, settings, quiet), quiet=quiet)


def _planned(suite: str, settings: Settings, keys: Mapping[str, Any]) -> Plan:
    from restorebench import runner

    return runner.prepare(suite, settings, keys)


def _measure_costs(plan: Plan, settings: Settings, quiet: bool) -> None:
    """Run one group of each cell that never ran here, and print the plan."""
    from restorebench import runner

    with _shown(plan, quiet) as (watch, stop):
        runner.measure_costs(plan, settings, watch, stop)
    plans.print_plan(plan, replace(settings, fresh=False), "one group of each unmeasured cell was run")


def _keys(save: str | None, samples: int | None, metrics: str | None, protocols: str | None) -> dict[str, Any]:
    """Return the keys of the suite that flags give."""
    given: dict[str, Any] = {"save": save, "samples": samples}
    given |= {"metrics": options.listed(metrics), "protocols": options.listed(protocols)}
    return {name: value for name, value in given.items() if value is not None}


def finish(result: Result, every_column: bool = False, quiet: bool = False, page: Path | None = None) -> None:
    """Print a result and the page that was made of it, and exit with code 3 if there are failures."""
    from restorebench.cli.summary import print_result  # brings numpy and pandas

    print_result(result, every_column, quiet)
    if page is not None and not quiet:
        print(visible(f"page: {page}"))
    if result.failed:
        raise typer.Exit(3)


def carry_out(plan: Plan, settings: Settings, quiet: bool = False) -> Result:
    """Execute a plan and show its progress."""
    from restorebench import runner
    from restorebench.engine.events import Note

    with _shown(plan, quiet) as (watch, stop):
        if settings.workers == 0:
            watch(Note("--workers 0: methods run in this process, and could read clean images and change scores"))
        return runner.execute(plan, settings, watch, stop)


@contextmanager
def _shown(plan: Plan, quiet: bool) -> Iterator[tuple[Watcher, Stop]]:
    """Show notes and progress; if interrupted, say how to continue."""
    from restorebench.cli.progress import watching
    from restorebench.engine.stopping import heeded

    for note in (*plan.notes, *plan.missing) if not quiet else ():
        if note not in plan.left_out or console.first_time(note):
            console.tell(f"note: {note}")
    with console.interruptible("the same command again continues"), watching(quiet) as watch, heeded() as stop:
        yield watch, stop


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
    cells = counted(len(plan.restorer_cells), "cell"), counted(len(plan.detector_cells), "detector cell")
    print(f"{plan.loaded.source}: valid; {', '.join(cells)}")


def schema() -> None:
    """Print the JSON Schema of a suite file, for editors."""
    from restorebench.suite.loading import schema as suite_schema

    print(json.dumps(suite_schema(), indent=2))


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    reports: Annotated[
        str | None, typer.Option("--reports", help="With these reporters instead of the suite's, as csv,latex.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the one reporter of --reports."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="DIR", help="Also make pages to look at, as `site` does of published runs."
        ),
    ] = None,
    plugin: options.Plugin = None,
    quiet: options.Quiet = False,
) -> None:
    """Write the tables of a run again from its journal, without restoring or scoring."""
    from restorebench import runner

    if html is not None:
        _require_page_folder(html)
    chosen, given = options.names(reports), options.plugin_options(option)
    if chosen is not None and not chosen:
        raise RestorebenchError("--reports: names none; name one, or leave it out")
    if given and (chosen is None or len(chosen) != 1):
        raise RestorebenchError("--option: is for one reporter; name it with --reports")
    wanted = None if chosen is None else dict.fromkeys(chosen, given)
    result = runner.report_again(folder, tuple(plugin or ()), wanted)
    finish(result, quiet=quiet, page=None if html is None else _page_of(folder, result, html))


def _require_page_folder(html: Path) -> None:
    from restorebench.site import target

    if html.suffix.lower() in (".html", ".htm"):
        raise RestorebenchError(
            f"--html {html}: a page has files beside it; give a folder, such as {html.with_suffix('')}"
        )
    target.require_usable(html, target.RUN_PAGE)


def _page_of(folder: Path, result: Result, html: Path) -> Path:
    """Make the pages of a run, and return the first one."""
    from restorebench.site.build import build_of_run

    made = build_of_run(folder, result.plan, html)
    for note in made.notes:
        console.tell(f"note: {note}")
    return made.folder / "index.html"
