"""Serve jobs over two pipes until the driver closes them or dies."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from typing import Any

from restorebench.guest import channel
from restorebench.guest.confinement import hide_memory
from restorebench.guest.processes import continue_guarded, end_as


def main() -> None:
    reading, writing, parent = (int(text) for text in sys.argv[1:4])
    continue_guarded(parent, reading, writing)  # processes of plugins end with the worker, or with its driver
    faulthandler.enable()
    _keep_private(reading, writing)

    from restorebench.guest import server, serving  # noqa: F401  guests, as copies of this process, need `serving`
    from restorebench.guest.memory import keep_freed
    from restorebench.worker import pipeline
    from restorebench.worker.hosting import GuestEnded
    from restorebench.worker.jobs import Setup
    from restorebench.worker.messages import Answer, Greeting, request_from, written
    from restorebench.worker.session import Session, devices  # imports torch

    def requests() -> Iterator[Any]:
        while (raw := channel.receive(reading)) is not None:
            yield request_from(raw)

    def send(answer: Answer) -> None:
        channel.send(writing, written(answer))

    keep_freed()
    guests = server.begin()  # before this process uses a GPU, which its copies could not use then
    hide_memory()
    send(Greeting(tuple(devices())))
    asked = requests()
    setup = next(asked, None)  # the supervisor sends it first
    if isinstance(setup, Setup):
        os.environ.update(setup.environment)
        session = Session(setup, guests)
        try:
            if setup.pipelined:
                pipeline.serve(session, asked, send)
            else:
                for request in asked:
                    send(session.handle(request))
        except GuestEnded as end:  # the supervisor knows what to do when a method's process ends in this way
            sys.stderr.flush()
            end_as(end.code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # an orderly shutdown of torch may take longer than the last group of a run


def _keep_private(*descriptors: int) -> None:
    """Keep the pipes from processes that a plugin starts: if one held them, a crash would go unnoticed."""

    held = list(descriptors)

    def close() -> None:
        while held:  # a child of a child may have files of its own under these numbers
            os.close(held.pop())

    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=close)


if __name__ == "__main__":
    main()
