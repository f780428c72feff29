"""Measure `classical`: `python -m restorebench_classical.measure CLEAN_DIR|embedded [--severity 3]`."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from restorebench import CLEAN, RestorebenchError, synthesisers
from restorebench.toolbox import photographs
from restorebench.toolbox.images import quantise, read
from restorebench.toolbox.synthesis import centre_crop, degrade, psnr
from restorebench_classical.detector import Statistics, stored_model
from restorebench_classical.fit import CROP_PX
from restorebench_classical.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence


def verdict(detector: Statistics, image: np.ndarray) -> str:
    """Return the detector's top label, or `clean` if there is none."""
    return detector.detect_one(image).top or CLEAN


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per task: PSNR of degraded and restored images, gain, seconds, and the detector's accuracy."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_classical.measure", description=__doc__)
    parser.add_argument("clean_dir")
    parser.add_argument("--severity", type=int, default=3, choices=(1, 2, 3, 4, 5))
    parser.add_argument("--limit", type=int, default=None, help="use only the first N photographs")
    parser.add_argument("--detector-only", action="store_true")
    given = parser.parse_args(arguments)
    try:
        pictures = [read(path) for path in photographs.listed(given.clean_dir, given.limit)]
    except RestorebenchError as error:
        parser.error(str(error))
    report(pictures, given.severity, given.detector_only)


def report(pictures: Sequence[np.ndarray], severity: int, detector_only: bool) -> None:
    """Print the table of one severity over whole (H, W, 3) photographs."""
    detector = Statistics(stored_model())
    print(f"| task (severity {severity}) | identity | classical | gain | s/image | detected | mistaken |")
    print("|---|---|---|---|---|---|---|")
    rates = []
    for task, maker in synthesisers().items():
        rows, verdicts = [], []
        for clean in pictures:
            whole = degrade(maker, clean, task, severity)
            degraded, target = centre_crop(whole, CROP_PX), centre_crop(clean, CROP_PX)
            verdicts.append(verdict(detector, whole))
            started = perf_counter()
            restored = degraded if detector_only else METHODS[task](degraded)
            elapsed = perf_counter() - started
            rows.append((psnr(degraded, target), psnr(quantise(restored), target), elapsed))
        before, after, seconds = np.mean(rows, axis=0)
        rates.append(np.mean([name == task for name in verdicts]))
        wrong = sorted({name for name in verdicts if name != task}, key=lambda n: -verdicts.count(n))
        named = ", ".join(f"{name} {verdicts.count(name)}" for name in wrong)
        gain = f"{after - before:+.2f}"
        print(
            f"| {task} | {before:.2f} | {after:.2f} | {gain} | {seconds:.2f} | {rates[-1]:.0%} | {named} |",
            flush=True,
        )
    abstained = np.mean([verdict(detector, clean) == CLEAN for clean in pictures])
    print(
        f"detector: {np.mean(rates):.1%} top-1 over {len(pictures)} photographs, abstains on {abstained:.0%} clean"
    )


if __name__ == "__main__":
    main()
