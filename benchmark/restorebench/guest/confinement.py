"""Confinement of the guest by the kernel: which files it reaches, and whom it can signal or trace. Linux only.

Landlock rules name what is allowed and hold for the process and all that it starts; they cannot be taken back.
Numbers and structures are those of linux/landlock.h and landlock(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 38, 4  # linux/prctl.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FIRST_RIGHTS = (1 << 13) - 1
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_SCOPES = 1 | 2  # abstract sockets and signals: only within the confinement
_SCOPES_VERSION = 6
_CAPABILITY_VERSION = 0x20080522  # linux/capability.h

_libc = ctypes.CDLL(None, use_errno=True)


def available() -> str:
    """Return why files cannot be confined here; "" if they can."""
    if _version() > 0:
        return ""
    return f"no Landlock here ({os.strerror(ctypes.get_errno())})"


def signals_pass() -> bool:
    """Tell whether a confined process can still signal others, as this kernel is too old to prevent it."""
    return _version() < _SCOPES_VERSION


def _version() -> int:
    """Return the version of Landlock in this kernel; less than 1 if there is none."""
    return int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))


def confine(readable: Iterable[Path], writable: Iterable[Path], listable: Iterable[Path] = ()) -> None:
    """Let this process reach only the given files and folders, with what is below them, from now on.

    listable: folders in which, and below which, it may see the names of files, but not read them.

    Raises:
        OSError: the kernel refuses.
    """
    version = _version()
    handled = _FIRST_RIGHTS
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= _IOCTL_DEV if version >= 5 else 0
    attributes = struct.pack("QQQ", handled, 0, _SCOPES if version >= _SCOPES_VERSION else 0)
    size = len(attributes) if version >= _SCOPES_VERSION else 8
    ruleset = _called(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for rights, paths in ((_READING, readable), (_READ_DIR, listable), (handled, writable)):
            for path in paths:
                _allow(ruleset, path, rights)
        _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _called(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Allow a file or folder; one that is not there, or that may not be looked at anyway, is left out."""
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = rights if stat.S_ISDIR(os.fstat(opened).st_mode) else rights & _OF_FILES
            _called(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, opened), 0)
        finally:
            os.close(opened)


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result


def drop_capabilities() -> None:
    """Give up what root may do beyond other users, such as reading the variables of every process."""
    header, none = struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _libc.capset(header, none)


def hide_memory() -> None:
    """Let no other process of this user, other than root's, read this process's memory or descriptors."""
    _libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def without(path: Path, hidden: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return what covers a file or folder without `hidden` and all below it; and the folders that were divided.

    All paths are resolved ones.
    """
    if any(path.is_relative_to(each) for each in hidden):
        return [], []
    inner = [each for each in hidden if each.is_relative_to(path)]
    if not inner or not path.is_dir():
        return [path], []
    covered, divided = [], [path]
    try:
        below = sorted(path.iterdir())
    except OSError:
        return [], []
    for each in below:
        if not each.is_symlink():  # what it leads to is allowed by its own place, or not at all
            more, folders = without(each, hidden)
            covered += more
            divided += folders
    return covered, divided
