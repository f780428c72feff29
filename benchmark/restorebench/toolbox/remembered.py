"""Facts about files that are remembered from run to run: their sha256, and the size of images.

Planning needs them of every file on every start. They are kept in a SQLite file in the cache folder. A file is
taken for the same if its path, size, inode and times of change (`mtime` and `ctime`) are the same. The system
itself sets `ctime`, so that even a change after which `mtime` was set back is noticed. Without a cache folder that
can be written, everything works and nothing is remembered.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from restorebench.toolbox import files, images
from restorebench.toolbox.places import cache_folder

FILE = "files.sqlite"
_DECIDING = ("RESTOREBENCH_HOME", "XDG_CACHE_HOME", "HOME")  # the variables that `cache_folder` depends on
_SIZE = "size 1"  # raise the number if `images.read_size` gives any file another size than before
_SETTLED = (
    2_000_000_000  # ns: a file that changed less than this ago may change again within one tick of its clock
)
_WAITING = 1_000  # facts kept in memory before they are written together


_trusted: ContextVar[bool] = ContextVar("trusted", default=True)


@contextmanager
def nothing() -> Iterator[None]:
    """Remember nothing within the block: every fact is found anew, from the file itself."""
    before = _trusted.set(False)
    try:
        yield
    finally:
        _trusted.reset(before)


def file_digest(path: Path) -> str:
    """Return the sha256 hex digest of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    return _fact(path, "sha256", lambda: files.file_digest(path))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image file, as `images.read_size` does.

    Raises:
        MissingResource, UnreadableImage: as `images.read_size`. Errors are not remembered.
    """
    try:
        height, width = map(int, _fact(path, _SIZE, lambda: "{} {}".format(*images.read_size(path))).split())
    except ValueError:  # a damaged cache
        return images.read_size(path)
    return height, width


def _fact(path: Path, kind: str, find: Callable[[], str]) -> str:
    """Return a fact about a file: the remembered one if the file is the same, else one that is found now."""
    stamp = _stamp(path) if _trusted.get() else ""
    store = _opened() if stamp else None
    if store is None:
        return find()
    name = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118  # five times as fast as Path.absolute
    known = store.get(name, kind, stamp)
    if known is None:
        known = find()
        if stamp == _stamp(path):  # else it changed while it was read
            store.put(name, kind, stamp, known)
    return known


def _stamp(path: Path) -> str:
    """Return what tells whether a file is the same; empty if it is not to be remembered."""
    try:
        facts = path.stat()
        os.fsencode(path).decode()
    except (OSError, ValueError):
        return ""
    if time.time_ns() - max(facts.st_ctime_ns, facts.st_mtime_ns) < _SETTLED:
        return ""
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino} {facts.st_dev}"


def _opened() -> _Store | None:
    return _store(os.getpid(), *map(os.environ.get, _DECIDING))


@cache
def _store(process: int, *variables: str | None) -> _Store | None:
    """Open the cache, once for each process, as no connection must be shared after a fork; None if it fails."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = _Store(folder / FILE)
    except (sqlite3.Error, OSError):
        return None
    atexit.register(store.write)
    return store


class _Store:
    """The remembered facts. Errors of the file mean that something is not remembered, nothing else."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=1, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS facts"
            " (path TEXT, kind TEXT, stamp TEXT, fact TEXT, PRIMARY KEY (path, kind)) WITHOUT ROWID"
        )
        self._new: dict[tuple[str, str], tuple[str, str]] = {}

    def get(self, path: str, kind: str, stamp: str) -> str | None:
        """Return a fact about the file that had this stamp, or None."""
        if (path, kind) in self._new:
            known, fact = self._new[path, kind]
            return fact if known == stamp else None
        query = "SELECT fact FROM facts WHERE path = ? AND kind = ? AND stamp = ?"
        try:
            row = self._connection.execute(query, (path, kind, stamp)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])

    def put(self, path: str, kind: str, stamp: str, fact: str) -> None:
        """Remember a fact, in place of one about an earlier file of this path."""
        self._new[path, kind] = stamp, fact
        if len(self._new) >= _WAITING:
            self.write()

    def write(self) -> None:
        """Write what is new."""
        new, self._new = self._new, {}
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)",
                    [(*key, *value) for key, value in new.items()],
                )
        except sqlite3.Error:
            pass
