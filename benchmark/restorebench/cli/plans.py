"""What a plan is made of and what it will take, as it is printed."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.plan.plan import Plan
    from restorebench.schedule.estimates import Estimate
    from restorebench.suite.settings import Settings
    from restorebench.worker.jobs import Job


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
    if busier := estimates.busier(expected.values(), costs.others(0)):
        print(f"note: {busier}")
    done = f", {remaining} still to do" if begun else ""
    cells = counted(len(plan.restorer_cells), "cell")
    print(f"{cells}, {counted(images, 'restoration')}{done}; {ran}")


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
