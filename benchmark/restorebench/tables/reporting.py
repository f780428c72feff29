"""Build tables from the journal and write them to files, at the end of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from restorebench.contract.cards import resolve
from restorebench.contract.catalog import Catalog, first_line
from restorebench.contract.errors import BrokenPlugin, MissingResource
from restorebench.plan.plan import Plan
from restorebench.records import Failure, Kept, Place
from restorebench.suite.model import ReportPick
from restorebench.tables import outcomes
from restorebench.tables.board import Board, board_of, with_parameters
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.manifest import manifest
from restorebench.tables.matrix import as_html
from restorebench.tables.scored import ScoredCell, scored_cells
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import validated, validated_options


@dataclass(frozen=True, repr=False)
class Result:
    """A finished run: its plan, its tables (pandas), its folder, the files written and the number of failures.

    A notebook shows it as the table of its first metric.
    """

    plan: Plan
    tables: Tables
    folder: Path
    files: tuple[Path, ...]
    failed: int

    def __repr__(self) -> str:
        """Say in one line what was run and where it is."""
        board = self.tables.board
        rows = len({cell.name for cell in board.cells})
        return (
            f"<Result of {board.suite} (version {board.version}): {counted(rows, 'row')}"
            f" on {counted(len(board.tasks), 'task')}, {counted(self.failed, 'failure')}, in {str(self.folder)!r}>"
        )

    def _repr_html_(self) -> str:
        """Lay the first metric out for a notebook."""
        what, table = escape(visible(repr(self))), as_html(self.tables, self.tables.board.columns[0])
        return f"<p>{what}</p>{table}<p>Bold: no row was shown to be better on this task.</p>"


def scored(plan: Plan, kept: Kept, failed_now: Mapping[Place, Failure] = {}) -> tuple[Board, list[ScoredCell]]:
    """Return the board of a plan and its cells with what is stored of them. failed_now: as in `report`."""
    board = with_parameters(board_of(plan), kept.parameters())
    return board, scored_cells(board, outcomes.gathered(plan, board, kept, failed_now))


def report(
    plan: Plan,
    kept: Kept,
    folder: Path,
    computed_with: Mapping[str, Any],
    again: str,
    reports: Iterable[ReportPick],
    failed_now: Mapping[Place, Failure] = {},
) -> Result:
    """Build the tables from stored records and write them into a folder with every reporter given.

    computed_with: the environment of the numbers, for the manifest. again: the command that writes tables again,
    for messages. reports: usable ones. failed_now: as in `outcomes.gathered`; these failures are listed and
    counted.

    Raises:
        BrokenPlugin: a reporter failed; all others have written their files.
    """
    board, cells = scored(plan, kept, failed_now)
    tables = tables_of(board, cells, outcomes.detections(plan, kept))
    folder.mkdir(exist_ok=True)
    text = json.dumps(manifest(plan, board, computed_with), indent=2, ensure_ascii=False)
    files = [folder / "manifest.json"]
    atomic_write_text(files[0], text + "\n")
    broken = []
    for pick in reports:
        card = plan.catalog.find("reporter", pick.name)
        try:
            files += resolve(card.load)(validated_options(card, pick.options), None).write(tables, folder)
        except Exception as error:  # of a plugin; the other reports are still worth writing
            broken.append(f"reporter {pick.name!r} failed: {type(error).__name__}: {first_line(error)}")
    if broken:
        raise BrokenPlugin("; ".join([*broken, f"everything else is in {folder}; {again} tries again"]))
    failed = tables.failures.drop(columns=["score", "reason"]).drop_duplicates()
    return Result(plan, tables, folder, tuple(files), len(failed))


def chosen(catalog: Catalog, reports: Mapping[str, Mapping[str, Any]]) -> list[ReportPick]:
    """Return reporters that were chosen by name, each with its options.

    Raises:
        RestorebenchError: there is no such reporter or option, or its library is missing.
    """
    for name, options in reports.items():
        entry = catalog.entry("reporter", name)
        if entry.unavailable:
            raise MissingResource(f"reporter {name!r} {entry.unavailable}")
        validated(entry.card, options)
    return [ReportPick(name=name, options=dict(options)) for name, options in reports.items()]
