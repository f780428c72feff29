"""Write a published folder: its tables, facts, page and checksums. It takes its place once it is complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RunFolderError
from restorebench.publishing import facts
from restorebench.publishing.layout import (
    CHECKSUMS,
    DETECTIONS,
    EXECUTIONS,
    MANIFEST,
    PAGE,
    SAMPLES,
    SUITE,
    checksums,
)
from restorebench.publishing.page import page
from restorebench.records import DetectionRecord
from restorebench.tables.board import Board
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox.cells import csv_text
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.options import loaded


@dataclass(frozen=True)
class Contents:
    """What a published folder says: its manifest, and what its tables are computed from."""

    manifest: Mapping[str, Any]
    board: Board
    cells: Sequence[ScoredCell]
    detections: Sequence[DetectionRecord]


@contextmanager
def made(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside the target, which takes the target's place once everything is in it.

    Raises:
        RunFolderError: a file or folder cannot be written; the target is as it was.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        try:
            folder.chmod(0o755)
            yield folder
            _put_in_place(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise RunFolderError(f"{error.filename or target}: {error.strerror}; give --to another folder") from error


def _put_in_place(folder: Path, target: Path) -> None:
    """Rename the folder to the target. What was there is deleted last, and comes back if the renaming fails."""
    if not target.exists():
        folder.rename(target)
        return
    before = folder.with_suffix(".before")
    target.rename(before)
    try:
        folder.rename(target)
    except OSError:
        before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def write(folder: Path, catalog: Catalog, contents: Contents) -> None:
    """Write everything but the images, which are in the folder already: the checksums cover them too."""
    board, about = contents.board, contents.manifest
    tables = tables_of(board, contents.cells, contents.detections)
    write_tables(catalog, tables, folder, "csv")
    (leaderboard,) = write_tables(catalog, tables, folder, "markdown")
    texts = {SAMPLES: facts.sample_lines(board), EXECUTIONS: facts.execution_lines(contents.cells)}
    if board.detector_cells:
        texts[DETECTIONS] = facts.detection_lines(board, contents.detections)
    for name, lines in texts.items():
        atomic_write_text(folder / name, csv_text(lines))
    atomic_write_text(folder / MANIFEST, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    atomic_write_text(folder / SUITE, yaml.safe_dump(about["suite"], sort_keys=False, allow_unicode=True))
    atomic_write_text(folder / PAGE, page(leaderboard.read_text(encoding="utf-8"), tables, about))
    leaderboard.unlink()
    atomic_write_text(folder / CHECKSUMS, checksums(folder))


def write_tables(catalog: Catalog, tables: Tables, folder: Path, reporter: str) -> list[Path]:
    """Write the tables with a reporter and its default options, as a run does, and return the files."""
    written: list[Path] = loaded(catalog.find("reporter", reporter), {}, None).write(tables, folder)
    return written
