"""Ending all descendants of a process, in whatever order the processes end. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_PIDFD_OPEN = 434  # on every processor, see pidfd_open(2)
_ENDING_SECONDS = 20
LOG_BYTES = 10 << 20
"""How much a worker and its guests may print. A plugin that prints in a loop must not fill the disk."""


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants that lose their own parent."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def follow(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends; if that has ended already, end now."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def descendants(ancestor: int) -> list[int]:
    """List the processes that a process has started, directly or through others."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [ancestor]
    for process in found:  # grows while it is walked
        found += children.get(process, [])
    return found[1:]


def end_descendants() -> None:
    """Kill descendants until none is left: after `adopt_orphans`, orphans become children of this process."""
    until = time.monotonic() + _ENDING_SECONDS
    while (found := descendants(os.getpid())) and time.monotonic() < until:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def continue_guarded(parent: int, *descriptors: int) -> str:
    """Continue in a child of this process; this process stays as a guard that ends the child's descendants.

    The guard ends with `parent`, or on SIGTERM, and ends all its descendants. When the child ends, the guard ends
    the rest and then itself in the same way as the child. What the child and its descendants print goes through
    the guard, which passes on `LOG_BYTES` and leaves out the rest. Call this before there are threads.

    descriptors: those that only the child keeps open. Returns the folder for temporary files of the child and its
    descendants, which the guard removes in the end.
    """
    guard = os.getpid()
    adopt_orphans()
    scratch = tempfile.mkdtemp(prefix="restorebench-")
    signal.signal(signal.SIGTERM, lambda *_: _end(signal.SIGTERM, scratch))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    follow(parent, signal.SIGTERM)
    printed, to_print = os.pipe()
    child = os.fork()
    if not child:
        os.close(printed)
        os.dup2(to_print, 1)
        os.dup2(to_print, 2)
        os.close(to_print)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A worker deep in native code would not notice a closed pipe.
        follow(guard, signal.SIGKILL)
        tempfile.tempdir = scratch
        return scratch
    for descriptor in (*descriptors, to_print):
        os.close(descriptor)
    log = _Log(printed)
    ended = descriptor_of(child)
    watched = [printed, ended]
    while ended not in select.select(watched, [], [])[0]:
        if not log.pass_on():  # nobody holds its other end: it would be ready for ever
            watched.remove(printed)
    _, status = os.waitpid(child, 0)
    end_descendants()
    log.rest()
    return _end(os.waitstatus_to_exitcode(status), scratch)


def _end(code: int, scratch: str) -> NoReturn:
    end_descendants()
    shutil.rmtree(scratch, ignore_errors=True)
    end_as(code)


def descriptor_of(process: int) -> int:
    """Return a descriptor that can be read once a process has ended.

    Raises:
        OSError: the system refuses.
    """
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(process)
    found = int(ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_OPEN, process, 0))  # a Python for older systems
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_open is refused")
    return found


class _Log:
    """Passes on what is printed into a pipe, up to `LOG_BYTES`."""

    def __init__(self, printed: int) -> None:
        self._printed = printed
        self._left = LOG_BYTES
        os.set_blocking(printed, False)

    def pass_on(self) -> bool:
        """Pass on what is in the pipe now; return False if it was nothing."""
        try:
            text = os.read(self._printed, 1 << 16)
        except BlockingIOError:
            return False
        if text and self._left > 0:
            more = b"" if len(text) < self._left else b"\n(the rest of this log is left out: it is too long)\n"
            with contextlib.suppress(OSError):  # a full disk must not end the worker
                os.write(1, text[: self._left] + more)
            self._left -= len(text)
        return bool(text)

    def rest(self) -> None:
        """Pass on what is still in the pipe."""
        while self.pass_on():
            pass


def end_as(code: int) -> NoReturn:
    """End this process. code: exit code, or a negative signal number, as in `Popen.returncode`."""
    if code < 0:
        # The process that ended so first has already left a core dump, if one was wanted.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
