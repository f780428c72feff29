"""The server of a worker: a process that has imported torch, knows no data, and forks guests."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import traceback

from restorebench.guest.processes import adopt_orphans, descriptor_of, end_descendants, follow

START, KILL = b"s", b"k"
NUMBER = struct.Struct(">i")
"""The server answers START with the number of the guest's process, and sends how it ended when it does."""


def begin() -> socket.socket:
    """Fork the server; return the worker's end of the socket between them.

    Call it before this process has read any data, or has used a GPU.
    """
    ours, its = socket.socketpair()
    worker = os.getpid()
    if os.fork():
        its.close()
        return ours
    try:
        ours.close()
        follow(worker, signal.SIGKILL)
        adopt_orphans()
        _serve(its)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _serve(control: socket.socket) -> None:
    """Fork guests until the worker closes its end."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not order:
            return
        if order != START:
            continue  # the guest that should end has ended by itself meanwhile
        connection = socket.socket(fileno=descriptors[0])
        server, guest = os.getpid(), os.fork()
        if not guest:
            _become(connection, control, server)
        connection.close()
        control.sendall(NUMBER.pack(guest))
        _watch(guest, control)


def _watch(guest: int, control: socket.socket) -> None:
    """Wait until a guest ends, or end it when the worker asks for that; then end all that it has started."""
    ended = descriptor_of(guest)
    try:
        ready, _, _ = select.select([ended, control.fileno()], [], [])
        if ended not in ready:
            control.recv(1)  # KILL; or nothing, if the worker has closed its end, which the caller notices
            with contextlib.suppress(ProcessLookupError):
                os.kill(guest, signal.SIGKILL)
        _, status = os.waitpid(guest, 0)
    finally:
        os.close(ended)
    end_descendants()
    with contextlib.suppress(BrokenPipeError):
        control.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _become(connection: socket.socket, control: socket.socket, server: int) -> None:
    """Be the guest, in a new process, and end with it, or with the server."""
    code = 1
    try:
        follow(server, signal.SIGKILL)
        control.close()
        os.setpgid(0, 0)
        from restorebench.guest.serving import serve  # imported by the worker before, for all guests

        serve(connection)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)
