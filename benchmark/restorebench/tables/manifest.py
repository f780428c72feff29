"""The manifest of a run: its resolved suite, versions, hardware and digests, so that others can verify it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restorebench.contract.catalog import Catalog
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell
from restorebench.tables.board import Board
from restorebench.tables.reading import board_facts


def manifest(plan: Plan, board: Board, computed_with: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a run as JSON-ready data. computed_with: the environment in which its numbers were computed.

    Paths below a root or the suite's folder are written relative to it (`${data}/a`, `a`), so that they are valid
    on other machines.
    """
    cells: tuple[RestorerCell | DetectorCell, ...] = (*plan.restorer_cells, *plan.detector_cells)
    facts = {
        "suite": plan.suite.model_dump(mode="json"),
        "source": Path(plan.loaded.source).name,
        "overrides": list(plan.loaded.overrides),
        "limit": plan.limit,
        "roots": {name: str(path) for name, path in plan.roots.items()},
        "code": plan.code,
        **computed_with,
        "columns": {column.name: column.digest or column.unavailable for column in plan.columns},
        "board": board_facts(board),
        "data": {f"{cell.data.label}/{cell.data.task}": cell.data.digest for cell in cells},
        "cells": [
            {
                "restorer": cell.label,
                "name": cell.card.name,
                "tell": cell.tell,
                "skipped": cell.skipped,
                **_cell(cell),
            }
            for cell in plan.restorer_cells
        ],
        "detector_cells": [
            {"detector": cell.label, "resize": cell.resize, **_cell(cell)} for cell in plan.detector_cells
        ],
    }
    texts = _plugin_files(plan.catalog)
    folders = {path: f"${{{name}}}" for name, path in plan.roots.items()} | {plan.loaded.folder: ""}
    deepest_first = sorted(folders.items(), key=lambda pair: -len(pair[0].parts))
    return {
        name: value if name == "roots" else _portable(value, deepest_first, texts) for name, value in facts.items()
    }


def _plugin_files(catalog: Catalog) -> dict[str, str]:
    """Map each plugin that was given as a file to the name of the file, as `report` knows only its full path."""
    given = {
        entry.plugin: Path(entry.plugin).name for entry in catalog.entries if entry.source.startswith("file:")
    }
    return {plugin: name for plugin, name in given.items() if list(given.values()).count(name) == 1}


def _portable(value: Any, folders: Sequence[tuple[Path, str]], texts: Mapping[str, str]) -> Any:
    """Write absolute paths relative to the first folder that holds them, also in lists, mappings and their keys.

    texts: other texts to replace.
    """
    if isinstance(value, Mapping):
        return {_portable(key, folders, texts): _portable(part, folders, texts) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(part, folders, texts) for part in value]
    if not isinstance(value, str):
        return value
    if value in texts:
        return texts[value]
    for folder, stands_for in folders:
        if value.startswith("/") and Path(value).is_relative_to(folder) and folder != Path("/"):
            return str(Path(stands_for) / Path(value).relative_to(folder))
    return value


def _cell(cell: RestorerCell | DetectorCell) -> dict[str, Any]:
    return {
        "name": cell.entry.card.name,
        "plugin": cell.entry.plugin,
        "version": cell.entry.card.version,
        "options": dict(cell.options),
        "files": dict(cell.files),
        "task": cell.data.task,
        "dataset": cell.data.label,
        "digest": cell.digest,
    }
