"""Measure a large run: `python scale.py [--tasks 10] [--rows 20] [--scenes 500] [--files] [--before CHECKOUT]`.

Writes a run folder whose journal already holds every record, with random scores: so many tasks, rows and scenes,
one image each, two columns. Then times `restorebench run` on it, a process of its own with one thread. It finds
nothing to do and writes the tables. Prints its CPU seconds, wall seconds and the most memory.

--files: the images are pairs of files of 128 px, which planning has to look at; otherwise a dataset only lists
them. --before: first time the code of another checkout, on a run of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

PLUGIN = """
from pydantic import BaseModel
from restorebench import DatasetInfo, RestorerInfo, SampleInfo, hookimpl


class Number(BaseModel):
    number: int = 0


def index(options, request):
    return [
        SampleInfo(f"image-{n:06}", 64, 64, f"{request.task}-{n}", f"{request.task}-scene-{n:06}", "synthetic")
        for n in range(options.number)
    ]


@hookimpl
def restorebench_datasets():
    facts = {"name": "listed", "version": "1", "summary": "Listed", "load": "none:none"}
    return [DatasetInfo(**facts, index=index, options=Number)]


@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="numbered", version="1", summary="Numbered", load="none:none", options=Number)]
"""

FILL = """
import sys
from pathlib import Path
import numpy as np
from restorebench import runner
from restorebench.journal import journal as journals
from restorebench.plan.plan import score_digests
from restorebench.records import OK, Execution, Record
from restorebench.schedule import origin
from restorebench.suite.settings import Settings

settings = Settings(out=Path("run"), plugins=(Path("plugin.py"),))
plan = runner.prepare("suite.yaml", settings)
rng = np.random.default_rng(0)
where = Execution("cpu", 1, 1, batch_limit=1)
hard = {}
with journals.opened(Path("run")) as journal:
    journal.remember("run", origin.describe(plan, settings))
    digests = score_digests(plan)
    for number, cell in enumerate(plan.restorer_cells):
        count = len(cell.data.samples)
        easy = hard.setdefault(cell.data.task, rng.normal(28, 3, count))
        psnr = easy + 0.05 * (number % len(plan.suite.restorers)) + rng.normal(0, 1, count)
        journal.add_records(
            (
                Record(
                    cell.digest, sample.id, 0, OK, None, None,
                    {"psnr@rgb": float(value), "ssim@rgb": float(1 - 2 / value)},
                    degraded_digest=sample.digest, seconds=0.01, pixels=4096, peak_mib=900.0, execution=where,
                )
                for sample, value in zip(cell.data.samples, psnr)
            ),
            digests,
        )
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds, and the most memory in MiB."""

    cpu: float
    wall: float
    memory: float


def measured(code: Path, folder: Path, command: list[str]) -> Cost:
    """Run Python with the code of a checkout in a folder, and return what it took."""
    path = os.pathsep.join([str(code / "benchmark"), str(code / "plugins")])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **threads, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / 1024)


def write_pairs(folder: Path, tasks: list[str], scenes: int) -> None:
    """Write pairs of random images, 128 px; each clean image belongs to one task."""
    rng = np.random.default_rng(0)
    for task in tasks:
        for side in ("GT", "LQ"):
            (folder / task / side).mkdir(parents=True)
            for number in range(scenes):
                pixels = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
                PIL.Image.fromarray(pixels).save(folder / task / side / f"{number:06}.png", compress_level=1)


def main() -> None:
    """Fill the folder, measure and print."""
    from restorebench import TEN_NAMES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--runs", type=int, default=2)
    given = parser.parse_args()
    here = Path(__file__).resolve().parents[3]
    tasks = list(TEN_NAMES[: given.tasks])
    checkouts = ({"before": given.before.resolve()} if given.before else {}) | {"now": here}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = f"{{name: listed, options: {{number: {given.scenes}}}}}"
        if given.files:
            write_pairs(folder / "pairs", tasks, given.scenes)
            data = "{name: paired-folder, options: {path: pairs}}"
        rows = ["identity"]
        rows += [f"{{name: numbered, label: row-{n}, options: {{number: {n}}}}}" for n in range(1, given.rows)]
        (folder / "suite.yaml").write_text(
            f"suite: scale\ntasks: [{', '.join(tasks)}]\nclean_inputs: false\ndatasets: [{data}]\n"
            f"metrics: [psnr, ssim]\nrestorers: [{', '.join(rows)}]\n"
        )
        (folder / "plugin.py").write_text(PLUGIN)
        records = given.tasks * given.rows * given.scenes
        print(f"{records:,} records: {given.tasks} tasks x {given.rows} rows x {given.scenes} scenes")
        run = ["-m", "restorebench", "run", "suite.yaml", "--plugin", "plugin.py", "--out", "run", "-q"]
        for label, code in checkouts.items():
            shutil.rmtree(folder / "run", ignore_errors=True)
            measured(code, folder, ["-c", FILL])
            for number in range(given.runs):
                cost = measured(code, folder, run)
                print(f"{label}, run {number + 1}: {cost.cpu:.1f} s CPU, {cost.wall:.1f} s, {cost.memory:.0f} MiB")


if __name__ == "__main__":
    main()
