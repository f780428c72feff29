"""Wait for a state instead of counting once: machines are busy, and processes take a moment to begin or end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE_SECONDS = 120
"""How long a test waits for what should take seconds. One that fails waits so long; one that passes does not."""


def wait_for(claim: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a claim holds.

    Raises:
        AssertionError: it does not hold in time.
    """
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.05)


def lives(process: int | str) -> bool:
    """Tell whether a process runs; a zombie has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left_of(processes: Iterable[int | str], seconds: float = PATIENCE_SECONDS) -> list[int | str]:
    """Wait until all processes have ended, and return those that live on."""
    left = list(processes)
    end = time.monotonic() + seconds
    while (left := [process for process in left if lives(process)]) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def command_line(process: int | str) -> str:
    """Return the command line of a process, words apart by NUL; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""
