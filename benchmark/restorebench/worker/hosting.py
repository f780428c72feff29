"""The worker's side of its guest: start it, exchange pixels and messages with it, and notice how it ended."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Batch, Detection
from restorebench.guest import calling, channel, memory, server
from restorebench.guest.arena import Arena, laid_out
from restorebench.guest.messages import (
    LONGEST_BYTES,
    Detect,
    Detected,
    Load,
    Loaded,
    Problem,
    Restore,
    Restored,
    Settled,
    Share,
    Start,
    Told,
    answer_from,
    written,
)
from restorebench.guest.method import Call
from restorebench.guest.reasons import GuestFailure
from restorebench.guest.surroundings import reach

Message = TypeVar("Message")

_ENDING_SECONDS = 2
_GARBLED = "its process sent what is no answer"


class GuestEnded(BaseException):
    """The guest has ended by itself, or was killed. code: as `Popen.returncode`.

    It is no Exception, because the method's next images cannot be tried in this worker.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Host:
    """The server of this worker, and its guest if there is one. It satisfies `Method`."""

    def __init__(self, control: socket.socket, device: torch.device) -> None:
        self._control = control
        self._device = device
        self._connection: socket.socket | None = None
        self._scratch = ""
        self._process = 0
        self._arena: Arena | None = None
        self._number = 0
        self._broken = False
        self.unconfined = ""

    def load(self, load: Load, secret: Sequence[Path]) -> int | None:
        """Start a guest in place of the last one, let it load a method, and return its number of parameters.

        secret: files and folders that it must not read.

        Raises:
            GuestFailure: the method cannot be loaded.
        """
        self.release()
        self._scratch = tempfile.mkdtemp(prefix="restorebench-")
        self._connection, its = socket.socketpair()
        try:
            socket.send_fds(self._control, [server.START], [its.fileno()])
        except (BrokenPipeError, ConnectionResetError):
            raise GuestEnded(-signal.SIGKILL) from None  # the server has been killed
        its.close()
        self._process = self._told_by_server()
        allowed = reach(load.source, load.named, Path(load.cache), Path(self._scratch), secret)
        self._send(Start(load, allowed, self._scratch))
        self.unconfined = self._answer(-1, Settled).unconfined
        return self._answer(-1, Loaded).parameters

    def release(self) -> None:
        """End the guest, if there is one."""
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        if not channel.readable(self._control.fileno(), _ENDING_SECONDS):
            self._control.sendall(server.KILL)
        self._told_by_server()
        self._forget()

    def resident_mib(self) -> float:
        """Return the memory that the guest holds now, in MiB."""
        return memory.resident_mib(self._process) if self._process else 0.0

    def restore(self, batch: Batch) -> Call:
        """Restore a batch on the CPU, as `Method.restore` says.

        Raises:
            ContractViolation, GuestFailure: the restorer broke its contract, or failed.
            GuestEnded: its process has ended.
        """
        degraded = batch.degraded.contiguous()
        more = [each for each in (batch.clean, batch.whole) if each is not None]
        self._number += 1
        request = Restore(
            number=self._number,
            degraded=_shape(degraded),
            clean=batch.clean is not None,
            whole=None if batch.whole is None else _shape(batch.whole),
            told=tuple(_told(each) for each in batch.told),
            keys=batch.keys,
            full_size=batch.full_size,
            window=batch.window,
            samples=batch.samples,
        )
        offsets, size = laid_out(request.shapes)
        arena = self._shared(size)
        for offset, tensor in zip(offsets[:1] + offsets[2:], (degraded, *more), strict=True):
            arena.tensor(offset, tensor.shape).copy_(tensor)
        measured = self._device.type == "cpu" and memory.reset_peak(self._device, self._process)
        began = time.perf_counter()
        self._send(request)
        answer = self._answer(self._number, Restored)
        seconds = time.perf_counter() - began
        images = arena.tensor(offsets[1], request.degraded).clone()  # first, as the guest can still write there
        calling.require_finite(images)
        its_own = answer.peak_mib if self._device.type == "cuda" else None
        peak = memory.peak_mib(self._device, self._process) if measured else its_own
        return Call(images, seconds, answer.seconds, peak, answer.fallbacks)

    def detect(self, images: Tensor) -> list[Detection]:
        """Detect, as `Method.detect` says.

        Raises:
            ContractViolation, GuestFailure: the detector broke its contract, or failed.
            GuestEnded: its process has ended.
        """
        self._number += 1
        request = Detect(self._number, _shape(images))
        _, size = laid_out([request.images])
        self._shared(size).tensor(0, request.images).copy_(images)
        self._send(request)
        answer = self._answer(self._number, Detected)
        if len(answer.found) != len(images):
            raise ContractViolation(_GARBLED)
        return [each.detection for each in answer.found]

    # ------------------------------------------------------------ exchanging messages

    def _shared(self, size: int) -> Arena:
        """Return an arena of at least so many bytes that the guest has too."""
        if self._arena is None or self._arena.size < size:
            if self._arena is not None:
                self._arena.close()
            self._arena = Arena.make(size)
            self._send(Share(self._arena.size))
            with contextlib.suppress(OSError):  # the guest has ended, which the next answer shows
                socket.send_fds(self._guest, [b"a"], [self._arena.descriptor])
        return self._arena

    @property
    def _guest(self) -> socket.socket:
        if self._broken or self._connection is None:
            raise ContractViolation(_GARBLED)
        return self._connection

    def _send(self, message: object) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the next answer shows how it ended
            channel.send_bytes(self._guest.fileno(), written(message))

    def _answer(self, number: int, kind: type[Message]) -> Message:
        """Wait for the answer to a request. The supervisor ends this worker if that takes too long."""
        descriptor = self._guest.fileno()
        channel.readable(descriptor)
        raw = channel.receive_bytes(descriptor, _ENDING_SECONDS, LONGEST_BYTES)
        if raw is None and channel.readable(self._control.fileno(), _ENDING_SECONDS):
            code = self._told_by_server()
            self._forget()
            raise GuestEnded(code)
        try:
            answer = answer_from(raw or b"")
        except ValueError:
            answer = None
        if isinstance(answer, Problem) and answer.number == number:
            raise GuestFailure(answer.failure())
        if not isinstance(answer, kind) or getattr(answer, "number", number) != number:
            self._broken = True
            raise ContractViolation(_GARBLED)
        return answer

    def _told_by_server(self) -> int:
        """Return the number that the server sends: that of a new guest's process, or how it ended."""
        told = self._control.recv(server.NUMBER.size, socket.MSG_WAITALL)
        if len(told) < server.NUMBER.size:
            raise GuestEnded(-signal.SIGKILL)  # the server has been killed, and the guest with it
        number: int = server.NUMBER.unpack(told)[0]
        return number

    def _forget(self) -> None:
        """Remove what belonged to a guest that has ended."""
        if self._connection is not None:
            self._connection.close()
        if self._arena is not None:
            self._arena.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._connection, self._arena, self._process, self._broken = None, None, 0, False


def _told(detection: Detection | None) -> Told | None:
    if detection is None:
        return None
    return Told(tuple(sorted(detection.labels)), dict(detection.probabilities))


def _shape(images: Tensor) -> tuple[int, int, int, int]:
    count, channels, height, width = images.shape
    return count, channels, height, width
