"""List files as a user sees them, and write them so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Go through all files below a folder, in no order; linked folders are followed, but not in a circle.

    above: the real folders on the way here.

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
    except OSError:  # a link that leads to itself: whoever opens it will say so
        return False


def atomic_write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a temporary name beside the target, then rename; line ends are kept as given."""
    atomic_write_bytes(path, text.encode())


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a temporary name beside the target, then rename."""
    with replaced(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` to write, and put it in place if the writing succeeds."""
    # The name itself may be as long as a file system takes.
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
