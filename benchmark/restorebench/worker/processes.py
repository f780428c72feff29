"""End what a process has started, and what that has started, whatever ends first. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_ENDING_SECONDS = 20


def adopt_orphans() -> None:
    """Become the parent of whatever loses its own among the descendants of this process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def follow(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends; if that has ended already, end now."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def descendants(ancestor: int) -> list[int]:
    """List the processes that a process has started, and those that these have."""
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
    """Kill until none is left: after `adopt_orphans` one that loses its parent becomes a child of this process."""
    until = time.monotonic() + _ENDING_SECONDS
    while (found := descendants(os.getpid())) and time.monotonic() < until:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def continue_guarded(parent: int, *descriptors: int) -> None:
    """Go on in a child of this process, which from now on only ends what that leaves behind.

    This process ends with `parent`, or on SIGTERM, and takes all its descendants along; when the child ends it
    takes the rest along and ends in the same way. Call it before there are threads.

    descriptors: those that the child alone shall hold.
    """
    guard = os.getpid()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: _end(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    follow(parent, signal.SIGTERM)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # One that is deep in native code would not notice a closed pipe.
        follow(guard, signal.SIGKILL)
        return
    for descriptor in descriptors:
        os.close(descriptor)
    while True:
        ended, status = os.wait()
        if ended == child:
            _end(os.waitstatus_to_exitcode(status))


def _end(code: int) -> None:
    """End with all descendants. code: as a `Popen` has it, a signal if negative."""
    end_descendants()
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has left one, if any was wanted
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
