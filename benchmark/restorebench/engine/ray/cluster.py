"""The Ray that a run uses: one started on this machine for this run alone, or a cluster that it joins."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.variables import variables_set

_ENDING_SECONDS = 30
_ANSWER_SECONDS = 20
# Ray listens on the whole network, so it must require the token that it keeps in the home folder.
_PRIVATE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


@contextmanager
def started(cpus: int) -> Iterator[str]:
    """Start a Ray on this machine and yield its address; it ends with this block, or however this process ends.

    cpus: number of CPUs that it claims to have, if that is more than there are. It has no dashboard, sends no
    usage reports, and writes nothing to this process's output. Its files are in their own folder and are removed.

    Raises:
        RestorebenchError: it does not start.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-P", "-m", "restorebench.engine.ray.keeper", str(max(cpus, os.cpu_count() or 1))],
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
    """Let this process join a Ray that requires a token."""
    try:
        with variables_set(_PRIVATE):
            _read_variables_again()
            yield
    finally:
        _read_variables_again()


def _read_variables_again() -> None:
    """Make Ray read variables that were set after its import, as Ray itself does after it has set one."""
    compiled: Any = ray._raylet
    if hasattr(compiled, "AuthenticationTokenLoader"):  # Ray 2.52 or newer; older ones have no tokens
        compiled.Config.initialize("")


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Connect this process to the Ray at an address: `auto`, or `HOST:PORT` from a machine that is part of it.

    Raises:
        RestorebenchError: there is no Ray, or this process is connected already.
    """
    if ray.is_initialized():
        raise RestorebenchError("this process uses Ray already: call ray.shutdown() before a run with engine ray")
    _require_answer(address)
    try:
        with _own_handler():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        why = " ".join(str(error).split()).partition(". ")[0]
        raise RestorebenchError(
            f"--address {address}: no Ray can be joined there: {why}; name it as auto or HOST:PORT, and if it"
            " requires a token, set RAY_AUTH_MODE=token here too and copy its ~/.ray/auth_token"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise an error if nothing listens at an address, as Ray 2.60 would wait for it without end."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:  # `auto`, which Ray looks up, or its client's
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise RestorebenchError(f"--address {address}: no Ray answers there: {error.strerror or error}") from None


@contextmanager
def _own_handler() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, as Ray would set its own."""
    if threading.current_thread() is not threading.main_thread():  # there, no handler can be set
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
