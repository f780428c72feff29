"""Messages between processes: length-prefixed JSON over a file descriptor."""

from __future__ import annotations

import json
import os
import select
import struct
from typing import Any

_HEADER = struct.Struct(">I")
_LONGEST = 2**28  # bytes; random bytes may announce 4 GiB, for which a reader would wait for ever


def send(descriptor: int, message: dict[str, Any]) -> None:
    """Write one message completely.

    Raises:
        BrokenPipeError: the other side is gone.
    """
    send_bytes(descriptor, json.dumps(message).encode())


def send_bytes(descriptor: int, body: bytes) -> None:
    """Write one message, given as JSON, completely.

    Raises:
        BrokenPipeError: the other side is gone.
    """
    data = memoryview(_HEADER.pack(len(body)) + body)
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int, patience: float | None = None) -> dict[str, Any] | None:
    """Wait for one message; return None if the other side closed the pipe, or a plugin wrote into it.

    patience: longest pause in s, after which None is returned too; None waits for ever.
    """
    body = receive_bytes(descriptor, patience)
    try:
        return None if body is None else dict(json.loads(body))
    except (ValueError, TypeError, RecursionError):  # not JSON, not an object, or nested too deeply
        return None


def receive_bytes(descriptor: int, patience: float | None = None, longest: int = _LONGEST) -> bytes | None:
    """Wait for one message, and return it as it was sent; None as in `receive`, or if it is too long."""
    header = _read(descriptor, _HEADER.size, patience)
    if header is None or (size := _HEADER.unpack(header)[0]) > longest:
        return None
    return _read(descriptor, size, patience)


def readable(descriptor: int, seconds: float | None = None) -> bool:
    """Wait until there is something to read, or the other side has closed; return False if that takes too long."""
    poll = select.poll()  # unlike select it takes any descriptor, and unlike epoll it needs none of its own
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else 1000 * seconds))


def _read(descriptor: int, size: int, patience: float | None) -> bytes | None:
    parts: list[bytes] = []
    while size:
        if patience is not None and not readable(descriptor, patience):
            return None
        try:
            part = os.read(descriptor, size)
        except ConnectionResetError:  # a socket whose other side ended with unread data
            return None
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
