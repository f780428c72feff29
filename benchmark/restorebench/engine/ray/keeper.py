"""Keep a Ray on this machine for one run: `python -m restorebench.engine.ray.keeper CPUS`.

Ray's own processes end with the process that started them, but their children may not: after a SIGKILL, two agents
of Ray 2.60 went on for some minutes, and processes that a plugin starts go on for ever. So all of them descend
from this process, which Linux makes the parent of those that lose theirs. When the driver ends in any way, the
standard input of this process ends; it then ends all descendants and removes Ray's files.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from restorebench.guest.processes import adopt_orphans, end_descendants

_OBJECT_STORE_BYTES = 256 * 2**20
"""Space for groups and outcomes in transit, without images. By default, Ray would take a third of the memory."""


def main() -> None:
    """Start a Ray, print its address, or `error: ` and why it did not start, and wait for stdin to end."""
    adopt_orphans()
    # Not the run folder, nor TMPDIR: it holds sockets, whose paths may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="restorebench-ray-", dir="/tmp"))
    keeping = threading.Thread(target=_end_with_stdin, args=(folder,))
    keeping.start()  # in a thread, as the driver may die while Ray starts
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
    except Exception as error:  # the driver has to report any error
        answer = f"error: {type(error).__name__}: {' '.join(str(error).split())}"
    print(answer, flush=True)
    keeping.join()


def _end_with_stdin(folder: Path) -> None:
    sys.stdin.read()
    end_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
