"""Listing of files with links followed, and writing so that a reader never sees half a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield all files below a folder, in no fixed order; links to folders are followed, but never in a circle.

    above: the resolved paths of the folders that led here.

    Raises:
        OSError: a folder may not be read.
    """
    here = folder.resolve()
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                yield from files_below(Path(entry.path), above | {here})
            else:
                yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; opening it will raise the error
        return False


def atomic_write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a temporary file beside the target, then rename it; line ends are kept as given."""
    atomic_write_bytes(path, text.encode())


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a temporary file beside the target, then rename it."""
    with replaced(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path` to write, and rename it to `path` if the writing succeeds."""
    # A short name, as `path.name` may already be as long as the file system allows.
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    temporary = path.with_name(f".{short}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """Return the sha256 hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
