"""Which Ray a run uses: one that is started on this machine for it alone, or a cluster that is joined."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._raylet import Config  # type: ignore[attr-defined]  # compiled, and its stub lacks this

from restorebench.errors import RestorebenchError

_ENDING_SECONDS = 30
_PRIVATE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
"""Ray listens to the whole network: let nobody in who has not the token that Ray keeps in the home folder."""


@contextmanager
def started(cpus: int) -> Iterator[str]:
    """Start a Ray on this machine and give its address; it ends when this ends, or this process does, in any way.

    cpus: how many it says it has, if that is more than there are. No dashboard, no usage reports, nothing on
    this process's output. Its own files are in a folder of their own and are removed.

    Raises:
        RestorebenchError: it does not start.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "restorebench.engines.ray_keeper", str(max(cpus, os.cpu_count() or 1))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **_PRIVATE},
        start_new_session=True,  # Ctrl-C is this process's to handle
    )
    assert keeper.stdin is not None and keeper.stdout is not None  # they are pipes
    try:
        answer = keeper.stdout.readline().strip()
        if not answer or answer.startswith("error: "):
            raise RestorebenchError(f"Ray does not start here: {answer.removeprefix('error: ') or 'it ended'}")
        with _as_private():
            yield answer
    finally:
        keeper.stdin.close()
        keeper.wait(_ENDING_SECONDS)
        keeper.stdout.close()


@contextmanager
def _as_private() -> Iterator[None]:
    """Let this process into a Ray that asks for a token."""
    before = {name: os.environ.get(name) for name in _PRIVATE}
    os.environ.update(_PRIVATE)
    Config.initialize("")  # Ray has read its variables when it was imported; it calls this after setting one
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Connect this process to the Ray at an address: `auto`, or `HOST:PORT` from a machine that is part of it.

    Raises:
        RestorebenchError: there is none, or this process is connected already.
    """
    if ray.is_initialized():
        raise RestorebenchError("this process uses Ray already: call ray.shutdown() before a run with engine ray")
    try:
        with _own_handler():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise RestorebenchError(f"--address {address}: no Ray can be joined there: {why}") from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_handler() -> Iterator[None]:
    """Keep what this process does on SIGTERM: Ray would set a handler of its own."""
    if threading.current_thread() is not threading.main_thread():  # where Ray sets none, and none can be set
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
