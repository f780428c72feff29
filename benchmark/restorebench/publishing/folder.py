"""A published folder -> its board, records and detections. The folder alone is enough: no run, no database."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing import facts
from restorebench.publishing.facts import Line
from restorebench.publishing.layout import DETECTIONS, EXECUTIONS, MANIFEST, SAMPLES, SCHEMA
from restorebench.records import DetectionRecord
from restorebench.suite.model import Suite
from restorebench.tables.board import Board
from restorebench.tables.gathering import gathered
from restorebench.tables.scored import ScoredCell, scored_cells
from restorebench.toolbox.cells import unguarded
from restorebench.toolbox.counts import counted

_LARGEST = 2 << 30  # bytes of one file of text


class _Part(BaseModel):
    """A part of a manifest. What is not listed here is not looked at."""

    model_config = ConfigDict(strict=True)


class _Cell(_Part):
    task: str
    dataset: str
    name: str
    digest: str
    plugin: str
    options: dict[str, Any]


class _RestorerCell(_Cell):
    restorer: str
    tell: str


class _DetectorCell(_Cell):
    detector: str
    resize: float


class _Provenance(_Part):
    folders: dict[str, dict[str, Any]]
    rows: dict[str, str]


class _Images(_Part):
    credits: list[str]
    notes: list[str]


class _Manifest(_Part):
    """The form of a manifest, as far as it is read again."""

    suite: Suite
    tasks: list[str]
    limit: int | None
    board: dict[str, Any]
    facts: dict[str, Any]
    data: dict[str, str]
    columns: dict[str, str]
    cells: list[_RestorerCell]
    detector_cells: list[_DetectorCell]
    versions: dict[str, str]
    code: dict[str, str]
    images: _Images
    provenance: _Provenance | None = None


Found = TypeVar("Found")


@dataclass(frozen=True)
class PublishedFolder:
    """What a published folder says. manifest: its manifest.json."""

    path: Path
    manifest: Mapping[str, Any]
    board: Board
    cells: tuple[ScoredCell, ...]
    detections: tuple[DetectionRecord, ...]


def read_published(path: Path) -> PublishedFolder:
    """Read a published folder. Whether it is true is not looked at here.

    Raises:
        PublishedFolderError: it is none, a file is missing or damaged, or another version wrote it.
    """
    manifest = read_manifest(path)
    samples = _read(path / SAMPLES, facts.SAMPLE_COLUMNS, facts.samples_from)
    try:
        board = facts.board_from(manifest["facts"], samples)
    except ValueError as error:
        raise PublishedFolderError(f"{path / MANIFEST}: facts: {_first(error)}") from error
    if (board.suite, board.version) != (manifest["suite"]["suite"], manifest["suite"].get("version")):
        raise PublishedFolderError(f"{path / MANIFEST}: its facts are of another suite than its suite")
    executions = read_lines(path / EXECUTIONS, facts.EXECUTION_COLUMNS)
    failures = read_lines(path / "failures.csv", (*facts.CELL_COLUMNS, "sample", "repetition", "score", "reason"))
    outcomes = _read(
        path / "records.csv",
        facts.RECORD_COLUMNS,
        lambda lines: gathered(board, facts.records_from(lines, executions, failures, board.columns)),
    )
    detections: tuple[DetectionRecord, ...] = ()
    if board.detector_cells:
        detections = _read(
            path / DETECTIONS,
            facts.DETECTION_COLUMNS,
            lambda lines: tuple(facts.detections_from(lines, board)),
        )
    return PublishedFolder(path, manifest, board, tuple(scored_cells(board, outcomes)), detections)


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Read the manifest of a published folder.

    Raises:
        PublishedFolderError: it is missing, damaged, or of another version.
    """
    file = path / MANIFEST
    try:
        found = json.loads(_text(file))
    except ValueError as error:
        raise PublishedFolderError(f"{file} is not JSON: {error}") from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema is None:
        raise PublishedFolderError(
            f"{path} is not published: its manifest has no schema; `restorebench publish RUN` writes such a folder"
        )
    if schema != SCHEMA:
        raise PublishedFolderError(
            f"{file} has schema {schema!r}, and this version reads {SCHEMA}; install another"
        )
    try:
        _Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"has no {where!r}" if first["type"] == "missing" else f"{where}: {first['msg']}"
        raise PublishedFolderError(f"{file}: {what}; it was changed after it was published") from error
    return dict(found)


def read_lines(path: Path, needed: Iterable[str]) -> list[Line]:
    """Read the lines of a CSV file as texts by column.

    Raises:
        PublishedFolderError: it cannot be read, lacks a column, or a line has another number of cells.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        names = next(reader, [])
        if lacking := [name for name in needed if name not in names]:
            raise PublishedFolderError(
                f"{path} has no column {lacking[0]!r}; it was changed after it was published"
            )
        lines: list[Line] = []
        for row in reader:
            if len(row) != len(names):
                raise PublishedFolderError(
                    f"{path}:{reader.line_num}: {counted(len(row), 'cell')}, the first line has {len(names)}"
                )
            lines.append(dict(zip(names, map(unguarded, row), strict=True)))
    except csv.Error as error:
        raise PublishedFolderError(f"{path}:{reader.line_num}: {error}") from error
    return lines


def _read(path: Path, needed: Iterable[str], make: Callable[[list[Line]], Found]) -> Found:
    lines = read_lines(path, needed)
    try:
        return make(lines)
    except (ValueError, KeyError, OverflowError) as error:
        raise PublishedFolderError(f"{path}: {_first(error)}") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise PublishedFolderError(f"{path} is larger than {_LARGEST >> 30} GiB")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PublishedFolderError(
            f"{path} cannot be read ({why}); give a folder that `restorebench publish` wrote"
        ) from error


def _first(error: Exception) -> str:
    """Return what is wrong in one line."""
    if isinstance(error, KeyError):
        return f"names {error}, which the manifest does not"
    return " ".join(str(error).splitlines()[:3])
