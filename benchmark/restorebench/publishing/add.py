"""Add the rows of a published folder to the board of the same suite and version."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from restorebench.contract.errors import PublishedFolderError, RunFolderError
from restorebench.journal.layout import safe_name
from restorebench.plan.discovery import discovered
from restorebench.publishing.checked import require_whole, true_folder
from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.joining import Newcomers, joined, newcomers, renamed, require_comparable
from restorebench.publishing.layout import MANIFEST, image_file, require_outside
from restorebench.publishing.provenance import PROVENANCE, of_rows
from restorebench.publishing.writing import Contents, made, write


@dataclass(frozen=True)
class Added:
    """A board that rows were added to. rows: the new ones. notes: what was not added, and why."""

    folder: Path
    rows: tuple[str, ...]
    notes: tuple[str, ...]


def add(
    folder: str | Path,
    to: str | Path = "results",
    *,
    names: Mapping[str, str] = {},
    by: str = "",
    new_board: bool = False,
) -> Added:
    """Add the rows of a published folder to `TO/SUITE/VERSION`, or make that board of them if there is none.

    All tables are computed anew from the records of all rows. names: new names of restorers by their old ones;
    `detector:NAME` is a detector. by: who published the rows. new_board: begin a board although there is one of
    another version of the suite.

    Raises:
        PublishedFolderError: the rows cannot be compared with those of the board, or the folder is not true.
        RunFolderError: the board cannot be written; it is as it was. Or `to` is inside a published folder.
    """
    source, catalog = Path(folder), discovered()
    original = true_folder(source, catalog)
    require_whole(original)
    arriving = renamed(original, names)
    target = Path(to) / arriving.board.suite / safe_name(arriving.board.version)
    require_outside(target)
    _require_same_version(target, new_board)
    with _alone(target.parent):
        board = true_folder(target, catalog) if target.exists() else None
        if board is None:
            new = Newcomers(tuple(dict.fromkeys(cell.name for cell in arriving.board.cells)), (), ())
            contents = Contents(arriving.manifest, arriving.board, arriving.cells, arriving.detections)
        else:
            require_whole(board)
            require_comparable(board, arriving)
            new = newcomers(board, arriving)
            contents = joined(board, arriving, new)
        notes = () if board is None else tuple(_already_there(board, arriving, new))
        if new.rows or new.detectors:
            contents = replace(contents, manifest=_with_provenance(contents, board, original, arriving, new, by))
            with made(target) as made_here:
                _copy_images(made_here, board, original, arriving, new)
                write(made_here, catalog, contents)
    return Added(target, new.rows, notes)


def _require_same_version(target: Path, new_board: bool) -> None:
    """Refuse rows of another version than the boards that are there."""
    others = sorted(path.parent.name for path in target.parent.glob(f"[!.]*/{MANIFEST}"))
    if others and not target.exists() and not new_board:
        raise PublishedFolderError(
            f"{target.parent} has version {', '.join(others)} of the suite, and the rows are of version"
            f" {target.name}, which cannot be compared; run the suite of that version, or give --new-board"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a suite's boards, so that two commands do not overwrite each other's rows."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunFolderError(f"{error.filename}: {error.strerror}; give --to another folder") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RunFolderError(f"{folder}: another command adds rows to it; try again when it is done") from error
    finally:
        os.close(held)


def _already_there(board: PublishedFolder, arriving: PublishedFolder, new: Newcomers) -> Iterator[str]:
    """Say which rows the board has already, and how far its scores and the others are apart."""
    there = {(cell.facts.task, cell.facts.dataset, cell.facts.name): cell for cell in board.cells}
    for name in new.same:
        apart = 0.0
        for cell in arriving.cells:
            if cell.facts.name == name:
                other = there[cell.facts.task, cell.facts.dataset, name]
                for column in cell.facts.columns:
                    difference = np.abs(cell.means(column) - other.means(column))
                    apart = max(apart, float(np.nanmax(difference, initial=0.0)))
        yield f"row {name} is there already; the scores of its images differ by at most {apart:.6f}"


def _with_provenance(
    contents: Contents,
    board: PublishedFolder | None,
    original: PublishedFolder,
    arriving: PublishedFolder,
    new: Newcomers,
    by: str,
) -> dict[str, Any]:
    """Return the manifest with the provenance of every row, and the credits of all images."""
    known = of_rows(board) if board else {"folders": {}, "rows": {}}
    theirs = of_rows(original, by)
    names = _new_names(original, arriving)
    rows = {names[name]: folder for name, folder in theirs["rows"].items() if names[name] in new.rows}
    folders = {**known["folders"], **{each: theirs["folders"][each] for each in rows.values()}}
    shown = [each.manifest["images"] for each in (board, arriving) if each is not None]
    return {
        **contents.manifest,
        "images": {
            key: list(dict.fromkeys(line for images in shown for line in images[key]))
            for key in ("credits", "notes")
        },
        PROVENANCE: {"folders": folders, "rows": {**known["rows"], **rows}},
    }


def _new_names(original: PublishedFolder, arriving: PublishedFolder) -> dict[str, str]:
    """Map the name that each row had to the one that it gets."""
    pairs = zip(original.board.cells, arriving.board.cells, strict=True)
    return {old.name: new.name for old, new in pairs}


def _copy_images(
    made_here: Path,
    board: PublishedFolder | None,
    original: PublishedFolder,
    arriving: PublishedFolder,
    new: Newcomers,
) -> None:
    """Copy the images of all rows of the board, and those of new rows under their new names."""
    pairs = [] if board is None else [(board.path, cell, cell) for cell in board.board.cells]
    pairs += [
        (original.path, old, cell)
        for old, cell in zip(original.board.cells, arriving.board.cells, strict=True)
        if cell.name in new.rows
    ]
    for path, old, cell in pairs:
        for sample in cell.samples:
            for repetition in range(cell.repetitions):
                source = path / image_file(old.dataset, old.task, old.name, sample.id, repetition)
                name = image_file(cell.dataset, cell.task, cell.name, sample.id, repetition)
                _copy(source, made_here / name)


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink():
        raise PublishedFolderError(f"{source} is a link; publish the run again, which writes files")
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
