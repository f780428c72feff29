"""A slow identity that keeps a tally in the file RESTOREBENCH_TEST_TALLY: one line per image it is given.

The host gives it the first batch twice, to see whether it repeats itself; that counts once.
"""

import os
import time
from pathlib import Path

from restorebench import RestorerInfo, hookimpl


class Counting:
    def __init__(self, options, runtime):
        self.last = None
        self.tally = Path(os.environ["RESTOREBENCH_TEST_TALLY"])

    def restore(self, batch):
        if batch.keys == self.last:
            return batch.degraded.clone()
        self.last = batch.keys
        with self.tally.open("a") as file:
            file.writelines(f"{key}\n" for key in batch.keys)
        time.sleep(float(os.environ.get("RESTOREBENCH_TEST_SECONDS", "0.5")))
        return batch.degraded.clone()


@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="counting", version="1", summary="Counts what it restores.", load=Counting)]
