"""Measure what the pipeline of a worker brings: `python pipeline.py [--images 60] [--runs 3]`.

A method that computes on a device leaves the processor to its worker, which then degrades the next group and
scores the one before. Three methods restore 256 px images, one after the other and in a pipeline, in turn:
`identity` and `airnet-compact` compute on the processor, where the host does not use the pipeline on its own;
`sleeping` waits 50 ms without computing, as a process that waits for a GPU does. Prints images/s from the first to
the last answer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from overhead import photographs

from restorebench.engine import supervisor
from restorebench.engine.events import Done
from restorebench.runner import execute, prepare
from restorebench.suite.settings import Settings

SLEEPING = """
import time
from restorebench import RestorerInfo, hookimpl

class Sleeping:
    def __init__(self, options, runtime):
        pass

    def restore(self, batch):
        time.sleep(0.05)
        return batch.degraded.clone()

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="sleeping", version="1", summary="Waits.", load=Sleeping)]
"""
SUITE = """
suite: pipeline
tasks: [raindrop]
clean_inputs: false
threads: 1
datasets: [{name: synthetic, options: {clean: clean, severities: [3]}}]
restorers: [identity, airnet-compact, sleeping]
"""


def rates(folder: Path, pipelined: bool, out: str) -> dict[str, float]:
    """Run the suite, and return images/s by restorer."""
    supervisor.PIPELINED["cpu"] = pipelined
    settings = Settings(out=folder / out, plugins=(folder / "sleeping.py",), device="cpu")
    times: dict[str, list[float]] = {}

    def watch(event: object) -> None:
        if isinstance(event, Done):
            times.setdefault(event.job.cell.name, []).append(time.perf_counter())

    execute(prepare(str(folder / "suite.yaml"), settings), settings, watch)
    return {name: (len(when) - 1) / (when[-1] - when[0]) for name, when in times.items()}


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clean").mkdir()
        photographs(folder / "clean", arguments.images)
        (folder / "sleeping.py").write_text(SLEEPING)
        (folder / "suite.yaml").write_text(SUITE)
        for number in range(arguments.runs):
            for pipelined in found:
                found[pipelined].append(rates(folder, pipelined, f"run-{number}-{pipelined}"))
    print(f"| restorer | one after the other | pipeline | ratio |  (images/s, medians of {arguments.runs})")
    print("|---|---|---|---|")
    for restorer in found[False][0]:
        before, after = (statistics.median(each[restorer] for each in runs) for runs in found.values())
        print(f"| {restorer} | {before:.1f} | {after:.1f} | {after / before:.2f} |")


if __name__ == "__main__":
    main()
