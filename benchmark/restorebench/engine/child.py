"""The supervisor's side of one worker process: start it, exchange messages with it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from restorebench.guest import channel
from restorebench.guest.surroundings import kept
from restorebench.worker.messages import Answer, Request, answer_from, written

_PATIENCE_SECONDS = 10
"""Longest pause within a message: a worker that hangs while it sends one must not stop the driver."""
_GUARD_SECONDS = 2
_LONGEST_AHEAD = 1 << 14  # bytes; a pipe holds four times as many
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Child:
    """A worker process with two private pipes and its own log file, which gets its output.

    withheld: the variables that its environment lacks, because the processes of methods begin as copies of it.
    """

    def __init__(self, log: Path, threads: int, visible_devices: str | None) -> None:
        """Start the worker. visible_devices: its CUDA_VISIBLE_DEVICES; None keeps the driver's."""
        to_read, self._to_write = os.pipe()
        self.reading, to_write = os.pipe()
        environment = {**kept(os.environ), **dict.fromkeys(_THREAD_VARIABLES, str(threads))}
        if visible_devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible_devices
        self.withheld = {name: value for name, value in os.environ.items() if name not in environment}
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._garbled = False  # true once it has sent bytes that are not a valid message
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # -P, so that a file called torch.py in the working folder is not imported
                [sys.executable, "-P", "-m", "restorebench.worker", str(to_read), str(to_write), str(os.getpid())],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(to_read, to_write),
                start_new_session=True,  # so that processes of a plugin are ended with it
            )
        os.close(to_read)
        os.close(to_write)

    def send(self, request: Request) -> None:
        """Send a request; if the worker has just died, the next `receive` notices it."""
        with contextlib.suppress(BrokenPipeError):
            channel.send(self._to_write, written(request))

    def send_ahead(self, request: Request) -> bool:
        """Send a request before the last one is answered; return False if it is too long for that.

        A worker that sends an answer does not read. Longer requests than the pipe holds would wait for each other.
        """
        body = json.dumps(written(request)).encode()
        if len(body) > _LONGEST_AHEAD:
            return False
        with contextlib.suppress(BrokenPipeError):
            channel.send_bytes(self._to_write, body)
        return True

    def receive(self) -> Answer | None:
        """Read one answer; return None if the worker has died, stops within it, or sends something invalid."""
        raw = channel.receive(self.reading, _PATIENCE_SECONDS)
        if raw is None:
            return None
        try:
            return answer_from(raw)
        except ValueError:
            self._garbled = True
            return None

    def distrust(self) -> None:
        """Note that the worker sent an unexpected answer, so that no further message of it is trusted."""
        self._garbled = True

    def kill(self) -> None:
        """End the worker and all processes that it has started, at once."""
        self._process.terminate()  # its guard then also ends descendants that have left the process group
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GUARD_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._close()

    def finish(self) -> None:
        """Let an idle worker end by itself, and kill it if it does not."""
        os.close(self._to_write)
        self._to_write = -1
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        self.kill()

    def death(self) -> str:
        """End a worker that is no longer usable, and return how it died: `SIGKILL`, `SIGSEGV`, `exit code 3`."""
        if self._garbled:
            self.kill()
            return "it sent what is no answer"
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its pipe and still runs
            code = None
        self.kill()
        if code is None:
            return "it closed its pipes"
        if code >= 0:
            return f"exit code {code}"
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"

    def _close(self) -> None:
        self._process.wait()
        for descriptor in (self._to_write, self.reading):
            if descriptor >= 0:
                os.close(descriptor)
        self._to_write = self.reading = -1


def may_have_gpus(device: str) -> bool:
    """Tell whether a worker for a device, such as `auto`, may find GPUs here."""
    return device != "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))


def visible_devices(device: str, worker: int, gpus: int) -> str | None:
    """Return the CUDA_VISIBLE_DEVICES of a worker, or None to leave it as it is.

    device: `auto`, `cpu` or `cuda:N`, where N counts the GPUs that the driver's own CUDA_VISIBLE_DEVICES shows.
    That variable shows all GPUs if it is not set and none if it is empty; likewise, the result "" hides all GPUs.
    worker: its number. gpus: number of GPUs, 0 if not known yet; workers are spread over several GPUs in turn.
    """
    if device == "cpu":
        return ""
    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    shown = None if variable is None else [part.strip() for part in variable.split(",") if part.strip()]
    if device.startswith("cuda:"):
        device_index = int(device[5:])
    elif gpus > 1:
        device_index = worker % gpus
    else:
        return None
    if shown is None:
        return str(device_index)
    return shown[device_index] if device_index < len(shown) else ""
