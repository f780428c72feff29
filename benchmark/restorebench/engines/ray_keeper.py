"""Keep a Ray on this machine for one run: `python -m restorebench.engines.ray_keeper CPUS`.

Ray's own processes end with the process that started them, but what they started may not: after a SIGKILL two
agents of Ray 2.60 went on for some minutes, and what a plugin starts goes on for ever. So all of them descend from
this process, to which Linux hands those that lose their parents; when its standard input ends, which any death of
the driver brings about, it ends them all and removes what Ray has put down.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_ENDING_SECONDS = 20
_OBJECT_STORE_BYTES = 256 * 2**20
"""Room for groups and outcomes on their way, without images. Ray would take a third of the memory."""


def main() -> None:
    """Start a Ray, print its address or `error: ` and why there is none, and keep it until stdin ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Not the run folder, nor TMPDIR: sockets lie below it, and their paths may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="restorebench-ray-", dir="/tmp"))
    keeping = threading.Thread(target=_end_with_stdin, args=(folder,))
    keeping.start()  # a thread: the driver may die while Ray starts
    try:
        import ray

        ray.init(
            address="local",
            num_cpus=int(sys.argv[1]),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
        )
        answer = ray.get_runtime_context().gcs_address
    except Exception as error:  # whatever it is, the driver has to know
        answer = f"error: {type(error).__name__}: {' '.join(str(error).split())}"
    print(answer, flush=True)
    keeping.join()


def _end_with_stdin(folder: Path) -> None:
    sys.stdin.read()
    _end_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _end_descendants() -> None:
    """Kill until none is left: one that loses its parent becomes a child of this process."""
    until = time.monotonic() + _ENDING_SECONDS
    while (found := descendants(os.getpid())) and time.monotonic() < until:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def descendants(ancestor: int) -> list[int]:
    """List the processes that a process has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [ancestor]
    for process in found:  # grows while it is walked
        found += children.get(process, [])
    return found[1:]


if __name__ == "__main__":
    main()
