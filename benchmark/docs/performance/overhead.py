"""Measure the host's overhead: `python overhead.py [--runs 5] [--images 200] [--more 400]`.

Runs `identity` over synthetic 256 px images twice, each as a cold process from start to finished CSV: through
`restorebench run` with one worker, and in a bare script that loads, degrades and scores the same images with
the same functions. Does it again over more images, which tells what a further image costs. Prints medians of wall
and CPU seconds and their ratios, and checks that both gave the same scores.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from turns import spread

from restorebench.toolbox.photographs import embedded

BARE = """
import csv, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from restorebench_degradations.noisy import Noisy
from restorebench_degradations.options import Noisy as Options
from restorebench_metrics import protocols, psnr, ssim
from restorebench.toolbox import images, scoring, seeding
degrade = Noisy(Options(), None).degrade
protocol = protocols.RGB
metrics = {"psnr": psnr.load(None, None, protocol), "ssim": ssim.load(None, None, protocols.SSIM[0])}
with open(sys.argv[2], "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["sample", *metrics])
    for path in sorted(Path(sys.argv[1]).iterdir()):
        clean = images.read(path)
        rng = seeding.generator(0, images.pixel_digest(clean), "noisy", 3)
        degraded = images.quantise(degrade(clean, 3, rng).image)
        pair = [scoring.prepare(images.to_tensor([image]), protocol) for image in (degraded, clean)]
        writer.writerow([path.stem, *(f"{float(metric(*pair)):.6f}" for metric in metrics.values())])
"""


def photographs(folder: Path, count: int) -> None:
    """Write 256 px crops of the embedded photographs."""
    sources = [np.asarray(PIL.Image.open(path).convert("RGB")) for path in embedded().values()]
    rng = np.random.default_rng(0)
    for number in range(count):
        image = sources[number % len(sources)]
        top, left = (int(rng.integers(0, side - 256 + 1)) for side in image.shape[:2])
        PIL.Image.fromarray(image[top : top + 256, left : left + 256]).save(folder / f"{number:04}.png")


@dataclass(frozen=True)
class Spent:
    """What a command and all its processes took, in s."""

    wall: float
    processor: float


def timed(command: list[str], folder: Path) -> Spent:
    """Return the seconds that a command takes from start to end."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before, began = _processor_seconds(), time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **threads}, check=True, capture_output=True)
    return Spent(time.perf_counter() - began, _processor_seconds() - before)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compared(folder: Path, images: int, runs: int) -> tuple[list[Spent], list[Spent]]:
    """Run the host and the bare script in turn over so many images, and check that their scores are the same."""
    folder.mkdir()
    (folder / "clean").mkdir()
    photographs(folder / "clean", images)
    (folder / "bare.py").write_text(BARE)
    (folder / "suite.yaml").write_text(
        "suite: overhead\ntasks: [noisy]\nclean_inputs: false\n"
        "datasets: [{name: synthetic, options: {clean: clean}}]\nrestorers: [identity]\n"
    )
    run = [sys.executable, "-m", "restorebench", "run", "suite.yaml", "--device", "cpu"]
    host, bare = [], []
    for number in range(runs):
        bare.append(timed([sys.executable, "bare.py", "clean", "bare.csv"], folder))
        host.append(timed([*run, "--out", f"run{number}"], folder))
    with (folder / "bare.csv").open() as one, (folder / "run0" / "records.csv").open() as two:
        expected = {row["sample"]: (row["psnr"], row["ssim"]) for row in csv.DictReader(one)}
        found = {r["sample"].split("@")[0]: (r["psnr@rgb"], r["ssim@rgb"]) for r in csv.DictReader(two)}
    if expected != found:
        sys.exit("the two gave different scores")
    return host, bare


def exchange(folder: Path) -> list[float]:
    """Return, for each run, the ms per image that the host's clock shows beyond the method's own."""
    found = []
    for path in sorted(folder.glob("run*/cost.csv")):
        with path.open() as file:
            (line,) = (each for each in csv.DictReader(file) if each["restorer"] == "identity")
        found.append(1000 * (float(line["seconds_per_image"]) - float(line["method_seconds_per_image"])))
    return found


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--more", type=int, default=400, help="further images, for the cost of one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name, "few"), Path(name, "many")
        host, bare = compared(few, arguments.images, arguments.runs)
        more_host, more_bare = compared(many, arguments.images + arguments.more, arguments.runs)
        beyond = exchange(few) + exchange(many)
    for what, measure in (("wall", lambda each: each.wall), ("CPU", lambda each: each.processor)):
        ours, its, ours_more, its_more = (
            statistics.median(map(measure, each)) for each in (host, bare, more_host, more_bare)
        )
        print(f"{what} seconds at {arguments.images} images, medians of {arguments.runs}:")
        print(f"  restorebench {ours:.2f}, bare script {its:.2f}, ratio {ours / its:.2f}")
        print(f"  host {[round(measure(s), 2) for s in host]}, bare {[round(measure(s), 2) for s in bare]}")
        one, other = ((more - few) / arguments.more for more, few in ((ours_more, ours), (its_more, its)))
        print(
            f"  per further image: {1000 * one:.2f} ms, bare script {1000 * other:.2f} ms, ratio {one / other:.2f}"
        )
    print(f"exchange with the method's process: {spread(beyond)} ms per image; same scores in all runs")


if __name__ == "__main__":
    main()
