"""Measure the host's overhead: `python overhead.py [--runs 3] [--images 200]`.

Runs `identity` over synthetic 256 px images twice, each as a cold process from start to finished CSV: through
`restorebench run` with one worker, and in a bare script that loads, degrades and scores the same images with
the same functions. Prints the medians and their ratio, and checks that both gave the same scores.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image

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


def timed(command: list[str], folder: Path) -> float:
    """Return the seconds a command takes from start to end."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **threads}, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    host: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clean").mkdir()
        photographs(folder / "clean", arguments.images)
        (folder / "bare.py").write_text(BARE)
        (folder / "suite.yaml").write_text(
            "suite: overhead\ntasks: [noisy]\nclean_inputs: false\n"
            "datasets: [{name: synthetic, options: {clean: clean}}]\nrestorers: [identity]\n"
        )
        run = [sys.executable, "-m", "restorebench", "run", "suite.yaml", "--device", "cpu"]
        for number in range(arguments.runs):
            bare.append(timed([sys.executable, "bare.py", "clean", "bare.csv"], folder))
            host.append(timed([*run, "--out", f"run{number}"], folder))
        with (folder / "bare.csv").open() as one, (folder / "run0" / "records.csv").open() as two:
            expected = {row["sample"]: (row["psnr"], row["ssim"]) for row in csv.DictReader(one)}
            found = {r["sample"].split("@")[0]: (r["psnr@rgb"], r["ssim@rgb"]) for r in csv.DictReader(two)}
    if expected != found:
        sys.exit("the two gave different scores")
    median = statistics.median(host), statistics.median(bare)
    print(f"restorebench {median[0]:.2f} s, bare script {median[1]:.2f} s, ratio {median[0] / median[1]:.2f}")
    print(f"host {[round(s, 2) for s in host]}, bare {[round(s, 2) for s in bare]}; same scores in both")


if __name__ == "__main__":
    main()
