"""Ctrl-C and SIGTERM: running groups are finished and kept, no new one begins; a second signal ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from restorebench.toolbox.counts import counted

_HEEDED = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Stop:
    """The request to end a run, with its signal; false until a signal arrives."""

    signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


class Stopped(Exception):
    """A run ended early because a signal asked it to; all groups that it had begun are kept."""

    def __init__(self, by: signal.Signals, left: int) -> None:
        super().__init__(f"stopped by {by.name} with {counted(left, 'image')} left")
        self.by = by


@contextmanager
def heeded() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM within the block into a `Stop`, and a second one into KeyboardInterrupt.

    Only a program's main thread gets signals; in other threads this changes nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.signal = signal.Signals(number)
        # Not print, as the signal may have interrupted a print.
        text = f"\n{stop.signal.name}: finishing the images at work; once more ends at once\n"
        # Writing fails after Ctrl-C on `... 2>&1 | tee log`, as the signal ends tee too.
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), text.encode())

    before = {number: signal.signal(number, ask) for number in _HEEDED}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
