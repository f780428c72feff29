"""The true cause of an error of a run folder or its journal, in one line, with what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from restorebench.toolbox.counts import counted

_OF_FOLDERS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}
_OF_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_BLOCK = 512  # bytes of st_blocks
_ELSEWHERE = "give --out another folder, or copy the run where it can be written"
_LOCAL = "give --out a folder on a local disk"
_MAPPING = {"SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMLOCK"}
_LOCKING = {
    *("SQLITE_IOERR_LOCK", "SQLITE_IOERR_RDLOCK", "SQLITE_IOERR_UNLOCK", "SQLITE_IOERR_CHECKRESERVEDLOCK"),
    *("SQLITE_PROTOCOL", "SQLITE_NOLFS"),
}


def of_journal(database: Path, error: sqlite3.Error) -> str:
    """Say what an error of SQLite means. The names are those of its page of result codes."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name == "SQLITE_FULL":
        return f"{database}: no space left on the disk; {held_by(database.parent)}; make room, or {_ELSEWHERE}"
    if name in _MAPPING:
        return f"{database}-shm: this file system cannot map memory that processes share ({name}); {_LOCAL}"
    if name in _LOCKING:
        return f"{database}: this file system cannot lock files ({name}); {_LOCAL}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{database}: another program has it open; end that, and start again"
    if name.startswith("SQLITE_IOERR"):
        return f"{database}: reading or writing failed ({name}); look at the disk, or {_ELSEWHERE}"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"{database}: {error}; {_ELSEWHERE}"
    return f"{database}: {error}; put back a copy, or give --fresh or --out another folder"


def of_folder(folder: Path, error: OSError) -> str:
    """Say what an error of the operating system means; "" if it is not one of the run folder."""
    path = Path(error.filename) if isinstance(error.filename, str) else folder
    if error.errno not in _OF_FOLDERS | {errno.EIO} or not path.absolute().is_relative_to(_topmost(folder)):
        return ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: {error.strerror}; {held_by(folder)}; make room, or {_ELSEWHERE}"
    return f"{path}: {error.strerror}; {_ELSEWHERE}"


def of_lock(folder: Path, error: OSError) -> str:
    """Say why a run folder cannot be locked; "" if the error has nothing to do with locks."""
    if error.errno not in _OF_LOCKS:
        return ""
    return f"{folder}: this file system cannot lock files ({error.strerror}); {_LOCAL}"


def held_by(folder: Path) -> str:
    """Say what takes the most space in a run folder."""
    sizes: dict[str, int] = {}
    files = 0
    for place, _, names in os.walk(folder):
        below = Path(place).relative_to(folder).parts[:1]
        for name in names:
            with contextlib.suppress(OSError):  # it may be removed meanwhile
                part = below[0] if below else name
                sizes[part] = sizes.get(part, 0) + Path(place, name).lstat().st_blocks * _BLOCK
                files += 1
    most = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    named = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in most if size)
    total = sum(sizes.values()) / 2**20
    return f"{counted(files, 'file')} of this run take {total:.1f} MiB" + (f": {named}" if named else "")


def _topmost(folder: Path) -> Path:
    """Return the existing part of a path. An error in it is an error of the run folder."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return existing
