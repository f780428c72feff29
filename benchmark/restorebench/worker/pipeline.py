"""A pipeline: while a guest restores a group, its worker degrades the next one and scores the one before.

It is for methods that compute on a device. Beside one that computes on the CPU, nothing else may run while it is
timed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from queue import Queue

from restorebench.worker.jobs import CellSpec, Job
from restorebench.worker.messages import Answer
from restorebench.worker.restoration import Restoration
from restorebench.worker.session import Session, answered


class _Passing:
    """A request on its way through three steps. The first error in one of them is its answer."""

    def __init__(self, session: Session, request: CellSpec | Job) -> None:
        self._session = session
        self._request = request
        self._restoration: Restoration | None = None
        if isinstance(request, Job) and request.mode == "restore":
            self._restoration = session.restoration(request)
        self._answer: Answer | None = None

    def read(self) -> None:
        if self._restoration is not None:
            self._do(self._restoration.read)

    def restore(self) -> None:
        if self._restoration is not None:
            self._do(self._restoration.restore)
        else:
            self._answer = self._session.handle(self._request)

    def answer(self) -> Answer:
        if self._restoration is not None:
            self._do(self._restoration.score)
        assert self._answer is not None  # the last step gives one
        return self._answer

    def _do(self, step: Callable[[], Answer | None]) -> None:
        if self._answer is None:
            self._answer = answered(step)


def serve(session: Session, requests: Iterator[CellSpec | Job], send: Callable[[Answer], None]) -> None:
    """Answer requests in their order. How many are under way at once is for the supervisor to say.

    Raises:
        GuestEnded: a guest has ended; the requests before its own have been answered.
    """
    threading.excepthook = _end  # a pipeline that lacks a step would wait for ever
    read: Queue[_Passing | None] = Queue()
    restored: Queue[_Passing | None] = Queue()
    threading.Thread(target=_read, args=(session, requests, read), daemon=True).start()
    last = threading.Thread(target=_answer, args=(restored, send), daemon=True)
    last.start()
    try:
        while (passing := read.get()) is not None:
            passing.restore()
            restored.put(passing)
    finally:
        restored.put(None)
        last.join()


def _read(session: Session, requests: Iterator[CellSpec | Job], read: Queue[_Passing | None]) -> None:
    for request in requests:
        passing = _Passing(session, request)
        passing.read()
        read.put(passing)
    read.put(None)


def _answer(restored: Queue[_Passing | None], send: Callable[[Answer], None]) -> None:
    while (passing := restored.get()) is not None:
        send(passing.answer())


def _end(failed: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(failed)
    sys.stderr.flush()
    os._exit(1)
