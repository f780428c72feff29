"""Keep a Ray on this machine for one run: `python -m restorebench.engine.ray.keeper CPUS`.

Ray's own processes end with the process that started them, but what they started may not: after a SIGKILL two
agents of Ray 2.60 went on for some minutes, and what a plugin starts goes on for ever. So all of them descend from
this process, to which Linux hands those that lose their parents; when its standard input ends, which any death of
the driver brings about, it ends them all and removes what Ray has put down.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from restorebench.worker.processes import adopt_orphans, end_descendants

_OBJECT_STORE_BYTES = 256 * 2**20
"""Room for groups and outcomes on their way, without images. Ray would take a third of the memory."""


def main() -> None:
    """Start a Ray, print its address or `error: ` and why there is none, and keep it until stdin ends."""
    adopt_orphans()
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
    end_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
