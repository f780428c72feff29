"""A finished run -> a published folder, which alone is enough to compute its tables again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RunFolderError
from restorebench.engine.environment import version
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import environment_key, safe_name
from restorebench.plan.plan import Plan
from restorebench.publishing import facts, images, page
from restorebench.publishing.layout import (
    CHECKSUMS,
    DETECTIONS,
    EXECUTIONS,
    MANIFEST,
    PAGE,
    SAMPLES,
    SCHEMA,
    SUITE,
    checksums,
)
from restorebench.runner import prepare
from restorebench.schedule.origin import reopen
from restorebench.tables import outcomes
from restorebench.tables.board import Board
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.manifest import manifest
from restorebench.tables.reporting import scored
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox import remembered
from restorebench.toolbox.cells import csv_text
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import loaded


@dataclass(frozen=True)
class Publication:
    """A folder that was published. notes: what a reader may miss in it, such as images over the budget."""

    folder: Path
    notes: tuple[str, ...]


def publish(
    run: str | Path,
    to: str | Path = "results",
    *,
    incomplete: bool = False,
    replace_existing: bool = False,
    image_megabytes: float = images.MEGABYTES,
    plugins: Sequence[str | Path] = (),
) -> Publication:
    """Publish a finished run as `TO/SUITE/VERSION`.

    incomplete: also publish a run with failures, or one that --limit or --tasks shortened. replace_existing:
    replace what was published under this name and version. image_megabytes: the most that images may take; 0
    publishes none. plugins: the plugin files of the run.

    Raises:
        RestorebenchError: the run is not finished, its data or plugins changed since, or the folder cannot be
            written.
    """
    origin = reopen(Path(run), [Path(plugin) for plugin in plugins])
    with remembered.nothing():  # what is published is true of the files as they are now
        plan = prepare(origin.loaded, origin.settings)
    origin.require_same(plan)
    with journals.opened(Path(run)) as journal:
        board, cells = scored(plan, journal)
        _require_finished(Path(run), board, cells, incomplete)
        target = Path(to) / board.suite / safe_name(board.version)
        if target.exists() and not replace_existing:
            raise RunFolderError(f"{target} exists; raise the version of the suite, or give --replace")
        with _made(target) as folder:
            detections = list(outcomes.detections(plan, journal))
            notes = _write(folder, plan, journal, (board, cells), detections, image_megabytes)
    return Publication(target, notes)


def _require_finished(run: Path, board: Board, cells: Sequence[ScoredCell], incomplete: bool) -> None:
    """Refuse what is not the whole board. A run that was stopped is always refused: one command finishes it."""
    missing = sum(cell.missing for cell in cells if not cell.facts.skipped)
    if missing:
        raise RunFolderError(f"{run}: {missing} images are not run yet; run its suite again, then publish")
    failed = sum(cell.failed for cell in cells)
    unscored = sum(len(cell.outcomes.unscored) for cell in cells)
    why = [
        f"{failed} images failed" if failed else "",
        f"{unscored} images lack scores" if unscored else "",
        board.share,
        next((cell.facts.share for cell in cells if cell.facts.share), ""),
    ]
    if any(why) and not incomplete:
        raise RunFolderError(
            f"{run}: {', '.join(filter(None, why))}; give --incomplete to publish it all the same"
        )


@contextmanager
def _made(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside the target, which takes the target's place once everything is in it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        try:
            folder.chmod(0o755)
            yield folder
            if target.exists():
                shutil.rmtree(target)
            folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise RunFolderError(f"{error.filename or target}: {error.strerror}; give --to another folder") from error


def _write(
    folder: Path,
    plan: Plan,
    journal: Journal,
    scored_board: tuple[Board, Sequence[ScoredCell]],
    detections: Sequence[Any],
    image_megabytes: float,
) -> tuple[str, ...]:
    board, cells = scored_board
    tables = tables_of(board, cells, detections)
    write_tables(plan.catalog, tables, folder, "csv")
    (leaderboard,) = write_tables(plan.catalog, tables, folder, "markdown")
    texts = {SAMPLES: facts.sample_lines(board), EXECUTIONS: facts.execution_lines(cells)}
    if board.detector_cells:
        texts[DETECTIONS] = facts.detection_lines(board, detections)
    for name, lines in texts.items():
        atomic_write_text(folder / name, csv_text(lines))
    kept = images.publish_outputs(folder, plan, journal, image_megabytes)
    about = _manifest(plan, board, journal) | {"images": asdict(kept)}
    atomic_write_text(folder / MANIFEST, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    atomic_write_text(folder / SUITE, yaml.safe_dump(about["suite"], sort_keys=False, allow_unicode=True))
    atomic_write_text(folder / PAGE, page.page(leaderboard.read_text(encoding="utf-8"), tables, about, kept))
    leaderboard.unlink()
    atomic_write_text(folder / CHECKSUMS, checksums(folder))
    return kept.notes


def write_tables(catalog: Catalog, tables: Tables, folder: Path, reporter: str) -> list[Path]:
    """Write the tables with a reporter and its default options, as a run does, and return the files."""
    written: list[Path] = loaded(catalog.find("reporter", reporter), {}, None).write(tables, folder)
    return written


def _manifest(plan: Plan, board: Board, journal: Journal) -> dict[str, Any]:
    """Return the manifest of the run, with the resolved suite and the facts of the board beside."""
    computed_with = journal.recall(environment_key(False)) or {}
    about = manifest(plan, board, computed_with)
    about["suite"] = _resolved(about["suite"], plan)
    about["roots"] = sorted(about["roots"])  # their names alone: where they lay is nobody's business
    more = {"tasks": list(plan.tasks), "facts": facts.board_json(board)}
    return {"schema": SCHEMA, "published_with": version("restorebench"), **about, **more}


def _resolved(suite: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the suite with what took part in the run alone: nothing in it depends on what else is installed."""
    rows = {(cell.label, cell.tell) for cell in plan.restorer_cells}
    detectors = {cell.label for cell in plan.detector_cells}
    there = dict(suite)
    there["restorers"] = [
        pick for pick in suite["restorers"] if (pick["label"] or pick["name"], pick["tell"]) in rows
    ]
    there["detectors"] = [
        {**pick, "optional": False} for pick in suite["detectors"] if (pick["label"] or pick["name"]) in detectors
    ]
    return there
