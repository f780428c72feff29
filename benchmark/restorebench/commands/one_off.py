"""Plan suites that are given as data, to be run in temporary folders, as the commands on images do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from restorebench.contract.errors import RestorebenchError
from restorebench.engine.events import Note
from restorebench.plan.plan import Plan
from restorebench.runner import prepare
from restorebench.schedule.stage import Watcher
from restorebench.suite import loading as suites
from restorebench.suite.settings import Settings


@contextmanager
def prepared(raw: dict[str, Any], settings: Settings) -> Iterator[tuple[Plan, Settings, Path]]:
    """Plan a suite given as data, to be run in a temporary folder."""
    loaded = suites.made({"clean_inputs": False, "reports": [], **raw})
    with tempfile.TemporaryDirectory(prefix="restorebench-") as name:
        folder = Path(name) / "run"
        there = replace(settings, out=folder, one_off=True)
        yield prepare(loaded, there), there, folder


def require_able(plan: Plan, watch: Watcher) -> None:
    """Refuse a restorer that cannot work here; note one that does nothing because it is told nothing."""
    for cell in plan.restorer_cells:
        if cell.skipped:
            raise RestorebenchError(f"{cell.label}: {cell.skipped}")
        if cell.card.acts_when_told and cell.tell == "nothing":
            watch(Note(f"{cell.label} returns its input unless it is told a task: give --task or --detector"))
