"""Build tables from the journal and write them to files, at the end of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restorebench.contract.cards import resolve
from restorebench.contract.catalog import Catalog, first_line
from restorebench.contract.errors import BrokenPlugin, MissingResource
from restorebench.plan.plan import Plan
from restorebench.records import FAILED, OK, WHOLE_IMAGE, Failure, Kept, Place, Record
from restorebench.suite.model import ReportPick
from restorebench.tables import outcomes
from restorebench.tables.board import board_of, with_parameters
from restorebench.tables.build import Tables, build
from restorebench.tables.manifest import manifest
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import validated, validated_options


@dataclass(frozen=True)
class Result:
    """A finished run: its plan, its tables (pandas), its folder, the files written and the failures."""

    plan: Plan
    tables: Tables
    folder: Path
    files: tuple[Path, ...]
    failed: int


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
    for messages. reports: usable ones. failed_now: images that this run could not restore, with the reasons. An
    image that worked in an earlier run keeps its numbers, and its failure is listed and counted.

    Raises:
        BrokenPlugin: a reporter failed; all others have written their files.
    """
    board = with_parameters(board_of(plan), kept.parameters())
    records = [_with_failure(record, failed_now) for record in outcomes.records(plan, kept)]
    detections = list(outcomes.detections(plan, kept))
    tables = build(board, records, detections)
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
    failed = sum(r.status == FAILED or bool(r.unscored) for r in records)
    failed += sum(d.status == FAILED for d in detections)
    return Result(plan, tables, folder, tuple(files), failed)


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


def _with_failure(record: Record, failed_now: Mapping[Place, Failure]) -> Record:
    """Add why an image that worked before could not be restored again, unless a missing score already says so."""
    why = failed_now.get((record.digest, record.sample, record.repetition))
    if record.status != OK or why is None or record.unscored:
        return record
    return replace(record, unscored={WHOLE_IMAGE: why})
