"""Kill a run at random moments and see what is left of it: `python kills.py [--kills 200] [--engine local]`.

A suite of ten tasks and three restorers runs on two workers. After a random time a random process of it
(the driver, a worker, with `--engine ray` also an actor) gets SIGKILL; a dead driver is started again by
the same command. When a run is done its tables are compared with those of an undisturbed one, byte by
byte, and the next one begins, until so many processes were killed. Printed: kills by victim, images that
were restored twice, and processes that outlived their driver. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from overhead import photographs

from restorebench import TEN_NAMES

WORKERS = 2
GROUPS = 2  # that a worker may have done without a record: the driver has not read one, and it is at the next
TABLES = ("leaderboard.csv", "records.csv")
VICTIMS = {"local": ("driver", "worker"), "ray": ("driver", "worker", "actor", "worker", "actor")}
"""Whom to kill, one as likely as the next. A driver takes all others along, and Ray is slow to start."""
ENDING_SECONDS = 30.0
"""How long a process may outlive its driver before it counts as left behind."""
MARK = "RESTOREBENCH_KILLS_MARK"
COUNTING = '''
import os, time
from pathlib import Path
from restorebench import RestorerInfo, hookimpl

class Counting:
    """A slow identity that notes each image it is given, before anything can happen to it.

    The first batch is given to it twice, to see whether it repeats itself; that counts once.
    """

    def __init__(self, options, runtime):
        self.tally = Path(os.environ["RESTOREBENCH_KILLS_TALLY"])
        self.last = None

    def restore(self, batch):
        if batch.keys == self.last:
            return batch.degraded.clone()
        self.last = batch.keys
        with self.tally.open("a") as file:
            file.write("".join(f"{key} {float(image.sum())}\\n" for key, image in zip(batch.keys, batch.degraded)))
        time.sleep(0.05)
        return batch.degraded.clone()

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="counting", version="1", summary="Counts.", load=Counting)]
'''


@dataclass
class Findings:
    """What was seen over all runs."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    different: int = 0
    twice: int = 0
    left_behind: int = 0


def marked(mark: str) -> dict[int, str]:
    """Find the processes that inherited a mark, and what these have started: {process: what it is}; no zombies.

    Ray writes titles over the environment of its actors, which are found by their parents.
    """
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    found: set[int] = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_text().replace("\0", " ")
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if f"{MARK}={mark}".encode() in (place / "environ").read_bytes():
                found.add(int(place.name))
        except OSError:  # it is gone by now
            continue
        commands[int(place.name)] = command
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return {process: _kind(commands[process]) for process in found if commands.get(process)}


def _kind(command: str) -> str:
    return "worker" if "restorebench.worker" in command else "actor" if "GroupActor" in command else "other"


def command(folder: Path, out: str, engine: str) -> list[str]:
    """Return the command of a run."""
    told = ["run", "kills.yaml", "--plugin", "counting.py", "--out", out, "--workers", str(WORKERS), "--quiet"]
    return [sys.executable, "-m", "restorebench", *told, "--engine", engine, "--device", "cpu"]


def tables(folder: Path) -> dict[str, bytes]:
    """Read what must not differ."""
    return {name: (folder / name).read_bytes() for name in TABLES}


def disturbed(folder: Path, out: str, engine: str, wanted: int, rng: random.Random, seen: Findings) -> None:
    """Run to the end under fire, as long as so many kills are not yet reached."""
    tally = folder / "tally"
    tally.unlink(missing_ok=True)
    before = seen.kills.total()
    while True:
        mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: mark, "RESTOREBENCH_KILLS_TALLY": str(tally)}
        environment["RESTOREBENCH_CONFINED"] = "0"  # the restorer writes the tally
        with (folder / "log").open("ab") as log:
            driver = subprocess.Popen(
                command(folder, out, engine), cwd=folder, env=environment, stdout=log, stderr=log
            )
        while seen.kills.total() < wanted:
            try:
                driver.wait(timeout=rng.uniform(0.5, 5.0))
                break
            except subprocess.TimeoutExpired:
                pass
            found = {process: kind for process, kind in marked(mark).items() if process != driver.pid}
            kind = rng.choice(VICTIMS[engine])  # one that does not live yet or any more is not killed
            victims = [driver.pid] if kind == "driver" else [each for each in found if found[each] == kind]
            try:
                os.kill(rng.choice(victims), signal.SIGKILL)
            except (ProcessLookupError, IndexError):
                continue
            seen.kills[kind] += 1
            if kind == "driver":
                break
        code = driver.wait()
        patience = time.monotonic() + ENDING_SECONDS
        while (alive := marked(mark)) and time.monotonic() < patience:
            time.sleep(0.2)
        seen.left_behind += len(alive)
        for process in alive:
            print("left behind:", process, alive[process], flush=True)
        if code == 0:
            break
        if code not in {-signal.SIGKILL, 3}:
            sys.exit(f"a run ended with {code}; see {folder / 'log'}")
    restored = Counter(tally.read_text().splitlines())
    twice = restored.total() - len(restored)
    allowed = (seen.kills.total() - before) * WORKERS * GROUPS
    print(
        f"{out}: {seen.kills.total() - before} kills, {twice} images restored again ({allowed} may be)", flush=True
    )
    seen.twice = max(seen.twice, twice - allowed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--images", type=int, default=20, help="photographs of each task")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, seen = random.Random(given.seed), Findings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clean").mkdir()
        photographs(folder / "clean", given.images)
        (folder / "counting.py").write_text(COUNTING)
        suite = {
            "suite": "kills",
            "tasks": list(TEN_NAMES),
            "datasets": [{"name": "synthetic", "options": {"clean": "clean", "severities": [3]}}],
            "restorers": ["identity", "global-affine", "counting"],
            "metrics": ["psnr", "ssim"],
            "clean_inputs": False,
        }
        (folder / "kills.yaml").write_text(yaml.safe_dump(suite))
        disturbed(folder, "undisturbed", given.engine, 0, rng, seen)
        expected = tables(folder / "undisturbed")
        while seen.kills.total() < given.kills:
            seen.runs += 1
            disturbed(folder, f"run-{seen.runs}", given.engine, given.kills, rng, seen)
            seen.different += tables(folder / f"run-{seen.runs}") != expected
    victims = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.kills.items()))
    print(f"--engine {given.engine}: {seen.kills.total()} SIGKILLs ({victims}) over {seen.runs} runs")
    print(f"runs with other tables than the undisturbed one: {seen.different}")
    print(f"images restored again beyond two groups per worker and kill: {max(seen.twice, 0)}")
    print(f"processes left behind after {ENDING_SECONDS:g} s: {seen.left_behind}")
    sys.exit(bool(seen.different or seen.twice > 0 or seen.left_behind))


if __name__ == "__main__":
    main()
