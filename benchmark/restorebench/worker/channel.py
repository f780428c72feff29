"""Length-prefixed JSON over a file descriptor: how the supervisor and a worker talk."""

from __future__ import annotations

import json
import os
import select
import struct
from typing import Any

_HEADER = struct.Struct(">I")
_LONGEST = 2**28  # bytes; waiting for the four GiB that noise may announce would take for ever


def send(descriptor: int, message: dict[str, Any]) -> None:
    """Write one message, whole.

    Raises:
        BrokenPipeError: the other side is gone.
    """
    body = json.dumps(message).encode()
    data = memoryview(_HEADER.pack(len(body)) + body)
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int, patience: float | None = None) -> dict[str, Any] | None:
    """Wait for one message; None when the other side closed, or a plugin wrote into the pipe.

    patience: longest time in s in which nothing more of it comes; then None too. None waits for ever.
    """
    header = _read(descriptor, _HEADER.size, patience)
    if header is None or (size := _HEADER.unpack(header)[0]) > _LONGEST:
        return None
    body = _read(descriptor, size, patience)
    try:
        return None if body is None else dict(json.loads(body))
    except (ValueError, TypeError, RecursionError):  # no JSON, JSON that is no object, or nested without end
        return None


def _read(descriptor: int, size: int, patience: float | None) -> bytes | None:
    parts: list[bytes] = []
    poll = select.poll()  # unlike its relatives it takes any descriptor, and none of its own
    poll.register(descriptor, select.POLLIN)
    while size:
        if patience is not None and not poll.poll(1000 * patience):
            return None
        part = os.read(descriptor, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
