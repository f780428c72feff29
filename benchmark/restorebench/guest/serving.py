"""The guest's side: load one method, and call it for each request of the worker."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restorebench.contract.cards import resolve
from restorebench.contract.catalog import discover
from restorebench.contract.code import require_code
from restorebench.contract.errors import BrokenPlugin
from restorebench.contract.values import Batch, Runtime
from restorebench.guest import calling, channel, memory
from restorebench.guest.arena import Arena, laid_out
from restorebench.guest.messages import (
    LONGEST_TEXT,
    Detect,
    Detected,
    Found,
    Load,
    Loaded,
    Problem,
    Restore,
    Restored,
    Settled,
    Share,
    Start,
    request_from,
    written,
)
from restorebench.guest.method import moved, parameters
from restorebench.guest.reasons import failure_of
from restorebench.guest.surroundings import kept
from restorebench.toolbox.options import validated_options


def serve(connection: socket.socket) -> None:
    """Become the guest that the first request describes; answer requests until the worker closes the socket."""
    raw = channel.receive_bytes(connection.fileno())
    if raw is None:
        return
    start = request_from(raw)
    assert isinstance(start, Start)  # the worker sends it first
    guest = _Guest(connection, torch.device(start.load.device))
    guest.answer(Settled(_settle(start)))
    try:
        guest.loaded = loaded(start.load)
    except Exception as error:
        guest.answer(_problem(-1, error))
        return
    guest.answer(Loaded(parameters(guest.loaded)))
    while (raw := channel.receive_bytes(connection.fileno())) is not None:
        guest.handle(request_from(raw))


def loaded(load: Load) -> Any:
    """Import a plugin and load its method.

    Raises:
        BrokenPlugin: the plugin cannot be imported, or its code is not the one that the run was planned with.
        Exception: whatever its `load` raises.
    """
    catalog = discover(only=[load.source])
    for broken in catalog.broken:
        raise BrokenPlugin(f"plugin {broken.plugin} is broken: {broken.reason}")
    entry = catalog.entry(load.kind, load.name)
    require_code(entry.plugin, entry.code, load.code)
    runtime = Runtime(load.device, load.threads, Path(load.cache), {}, load.offline, load.tasks, catalog.find)
    return resolve(entry.card.load)(validated_options(entry.card, load.options), runtime)


def _settle(start: Start) -> str:
    """Leave the worker's environment and folder, and confine this process; return why that was not possible."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = kept(os.environ) | {"TMPDIR": start.scratch, "PWD": start.scratch}
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # the worker's is no place for a guest; TMPDIR counts again
    os.chdir(start.scratch)
    torch.set_num_threads(start.load.threads)
    # TensorFloat-32 keeps 10 of the 23 bits of a float's fraction, but the records say `float32`.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    try:
        start.reach.enter()
    except OSError as error:
        return str(error)
    return start.reach.unconfined


class _Guest:
    """The one method of this process, and the arena that it shares with its worker."""

    def __init__(self, connection: socket.socket, device: torch.device) -> None:
        self.loaded: Any = None
        self._connection = connection
        self._device = device
        self._arena: Arena | None = None
        self._whole: Tensor | None = None

    def handle(self, request: Any) -> None:
        """Answer one request; an error of the method is an answer too."""
        if isinstance(request, Share):
            _, (descriptor,), _, _ = socket.recv_fds(self._connection, 1, 1)
            if self._arena is not None:
                self._arena.close()
            self._arena = Arena(descriptor, request.size)
            return
        try:
            self.answer(self._restore(request) if isinstance(request, Restore) else self._detect(request))
        except Exception as error:
            self.answer(_problem(request.number, error))
            del error
            if self._device.type == "cuda":
                torch.cuda.empty_cache()  # only here: before, the error's traceback held the method's allocations

    def answer(self, message: object) -> None:
        """Send an answer; if the worker is gone, so is the reason to go on."""
        with contextlib.suppress(BrokenPipeError):
            channel.send_bytes(self._connection.fileno(), written(message))

    def _restore(self, request: Restore) -> Restored:
        assert self._arena is not None  # the worker shares one before
        offsets, _ = laid_out(request.shapes)
        tensors = [self._arena.tensor(*each) for each in zip(offsets, request.shapes, strict=True)]
        degraded, output, *more = tensors
        batch = Batch(
            degraded=degraded.clone(),
            told=tuple(None if told is None else told.detection for told in request.told),
            keys=request.keys,
            full_size=request.full_size,
            window=request.window,
            clean=more.pop(0).clone() if request.clean else None,
            whole=self._same(more.pop(0)) if request.whole else None,
            samples=request.samples,
        )
        measured = self._device.type == "cuda" and memory.reset_peak(self._device)  # the worker measures the rest
        with calling.fallbacks() as reported:
            images, seconds = calling.restored(self.loaded, moved(batch, self._device), degraded)
        output.copy_(images)
        peak = memory.peak_mib(self._device) if measured else None
        texts = tuple(text[:LONGEST_TEXT] for text in dict.fromkeys(reported))
        return Restored(request.number, seconds, peak, texts)

    def _same(self, whole: Tensor) -> Tensor:
        """Return the whole images of a tile as the same object for all tiles, by which methods know them again."""
        if self._whole is None or not torch.equal(self._whole, whole):
            self._whole = whole.clone()
        return self._whole

    def _detect(self, request: Detect) -> Detected:
        assert self._arena is not None  # the worker shares one before
        images = self._arena.tensor(0, request.images).clone().to(self._device)
        found = calling.detected(self.loaded, images)
        return Detected(
            request.number,
            tuple(Found(tuple(sorted(each.labels)), dict(each.probabilities)) for each in found),
        )


def _problem(number: int, error: Exception) -> Problem:
    traceback.print_exc()
    sys.stderr.flush()
    failure = failure_of(error)
    kind = failure.kind.value if failure.kind.value in {"contract", "out-of-memory"} else "error"
    return Problem(number, kind, failure.message[:LONGEST_TEXT])  # type: ignore[arg-type]  # one of the three
