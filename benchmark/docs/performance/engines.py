"""Run one suite in several ways and compare: `python engines.py [tables] [throughput] [memory]`.

Ten tasks, each with so many photographs, and three restorers, one of them learned, on one local worker,
on two, on two actors of Ray, and on two of which one gets SIGKILL every five seconds: all tables must be
the same bytes. The learned restorer with batch size 8 against 1: the greatest difference of a PSNR. A
restorer bound by computing on one worker and on two: throughput, start of the run left out. Many images
on two actors: memory of all processes from image 100 to the last. Needs an otherwise idle machine, Linux,
and `pip install 'restorebench[ray]'`.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from kills import MARK, TABLES, marked
from overhead import photographs

from restorebench import TEN_NAMES

LEARNED = "airnet-compact"
HEAVY = {"name": "daclip-compact", "options": {"steps": 10}}
"""Bound by computing: the rest of a group, to degrade, to score and to write down, takes a few per cent."""
KILL_EVERY = 5.0  # s
_LOOK_EVERY = 0.25  # s

Seen = list[tuple[float, int, float]]
"""Now and then while a run goes on: seconds, images that are done, memory of all its processes in MiB."""


def write_suite(folder: Path, name: str, **keys: Any) -> None:
    """Write a suite over the photographs in `<folder>/clean`."""
    suite = {
        "suite": name,
        "tasks": list(TEN_NAMES),
        "datasets": [{"name": "synthetic", "options": {"clean": "clean", "severities": [3]}}],
        "restorers": ["identity", "global-affine", LEARNED],
        "metrics": ["psnr", "ssim"],
        "clean_inputs": False,
        **keys,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(suite))


def run(
    folder: Path,
    suite: str,
    out: str,
    *options: str,
    every: Callable[[str, float], None] = lambda m, s: None,
    weigh: bool = False,
) -> tuple[float, Seen]:
    """Run a suite; return its seconds and what was seen.

    every: is told the mark of its processes and the time. weigh: look at their memory, which takes some time
    of the processor too.
    """
    mark, began = uuid.uuid4().hex, time.monotonic()
    told = ["run", f"{suite}.yaml", "--out", out, "--device", "cpu", "--quiet", *options]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "restorebench", *told],
            cwd=folder,
            env={**os.environ, MARK: mark},
            stdout=log,
            stderr=log,
        )
    seen: Seen = []
    while process.poll() is None:
        seconds = time.monotonic() - began
        seen.append((seconds, done(folder / out), memory_mib(mark) if weigh else 0.0))
        every(mark, seconds)
        time.sleep(_LOOK_EVERY)
    if process.returncode:
        sys.exit(f"{suite} {' '.join(options)} ended with {process.returncode}; see {folder / 'log'}")
    return time.monotonic() - began, seen


def done(folder: Path) -> int:
    """Count the images that a run has restored."""
    try:
        with closing(sqlite3.connect(f"{(folder / 'run.sqlite').as_uri()}?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM outcomes").fetchone()[0])
    except sqlite3.Error:  # not there yet
        return 0


def memory_mib(mark: str) -> float:
    """Add up the memory of a run's processes, shared pages once."""
    total = 0
    for process in marked(mark):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def rate(seen: Seen) -> float:
    """Images per second from the first that are done to the last look."""
    busy = [(seconds, count) for seconds, count, _ in seen if count > 0]
    last = next(place for place, each in enumerate(busy) if each[1] == busy[-1][1])
    return (busy[last][1] - busy[0][1]) / (busy[last][0] - busy[0][0])


class Killer:
    """Kills one actor after another, every five seconds."""

    def __init__(self) -> None:
        self.kills = 0
        self._rng, self._last = random.Random(0), 0.0

    def __call__(self, mark: str, seconds: float) -> None:
        actors = [process for process, kind in marked(mark).items() if kind == "actor"]
        if actors and seconds - self._last >= KILL_EVERY:
            self._last = seconds
            os.kill(self._rng.choice(actors), signal.SIGKILL)
            self.kills += 1


def psnr(folder: Path) -> dict[tuple[str, str], float]:
    """Read the learned restorer's PSNR by task and sample."""
    with (folder / "records.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["restorer"] == LEARNED]
    return {(row["task"], row["sample"]): float(row["psnr@rgb"]) for row in rows}


def same_tables(folder: Path, given: argparse.Namespace) -> None:
    """Compare the tables of four ways to run one suite."""
    write_suite(folder, "same")
    kill = Killer()
    ways: dict[str, tuple[tuple[str, ...], Callable[[str, float], None]]] = {
        "1 local worker": (("--workers", "1"), lambda m, s: None),
        "2 local workers": (("--workers", "2"), lambda m, s: None),
        "Ray, 2 actors": (("--engine", "ray", "--workers", "2"), lambda m, s: None),
        "Ray, 2 actors, one killed every 5 s": (("--engine", "ray", "--workers", "2"), kill),
    }
    first: dict[str, bytes] = {}
    print(f"| ten tasks, three restorers, {10 * given.photographs} images | s | leaderboard.csv, records.csv |")
    print("|---|---|---|")
    for number, (way, (options, every)) in enumerate(ways.items()):
        seconds, _ = run(folder, "same", f"way-{number}", *options, every=every)
        found = {name: (folder / f"way-{number}" / name).read_bytes() for name in TABLES}
        first = first or found
        killed = f" ({kill.kills} killed)" if every is kill else ""
        print(f"| {way}{killed} | {seconds:.0f} | {'the same' if found == first else 'DIFFERENT'} |", flush=True)
    write_suite(folder, "batched", batch_size=8, restorers=[LEARNED])
    run(folder, "batched", "batched", "--workers", "2")
    one, eight = psnr(folder / "way-0"), psnr(folder / "batched")
    print(
        f"batch size 8 against 1: PSNR differs by {max(abs(one[key] - eight[key]) for key in one):.2g} dB at most"
    )


def throughput(folder: Path, given: argparse.Namespace) -> None:
    """Compare one worker with two, of either engine."""
    write_suite(folder, "heavy", restorers=[HEAVY])
    for engine in ("local", "ray"):
        rates = []
        for workers in (1, 2):
            options = ("--engine", engine, "--workers", str(workers), "--limit", "8")
            _, seen = run(folder, "heavy", f"{engine}-{workers}", *options)
            rates.append(rate(seen))
        times = rates[1] / rates[0]
        print(
            f"--engine {engine}: {rates[0]:.2f} images/s on one, {rates[1]:.2f} on two: {times:.2f} times",
            flush=True,
        )


def flatness(folder: Path, given: argparse.Namespace) -> None:
    """Watch the memory over many images."""
    per_task = given.many // 10
    (folder / "many").mkdir()
    photographs(folder / "many", per_task)
    dataset = {"name": "synthetic", "options": {"clean": "many", "severities": [3]}}
    write_suite(folder, "flat", restorers=[LEARNED], metrics=["psnr"], datasets=[dataset])
    _, seen = run(folder, "flat", "flat", "--engine", "ray", "--workers", "2", weigh=True)
    held = {count: mib for _, count, mib in seen if 0 < count < 10 * per_task}
    early = next(mib for count, mib in held.items() if count >= 100)
    late = list(held.values())[-1]
    print(f"memory of all processes: {early:.0f} MiB at image 100, {late:.0f} MiB at image {max(held)}: ", end="")
    print(f"{100 * (late / early - 1):+.1f} %")


PARTS = {"tables": same_tables, "throughput": throughput, "memory": flatness}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--photographs", type=int, default=20, help="of each task")
    parser.add_argument("--many", type=int, default=2000, help="images to watch the memory over")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clean").mkdir()
        photographs(folder / "clean", given.photographs)
        for part in given.parts or PARTS:
            PARTS[part](folder, given)


if __name__ == "__main__":
    main()
