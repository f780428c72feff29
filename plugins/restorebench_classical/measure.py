"""Measure `classical`: `python -m restorebench_classical.measure CLEAN_DIR|embedded [--severity 3]`."""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

from restorebench import CLEAN, TEN_NAMES
from restorebench.toolbox.images import read
from restorebench_classical.detector import Statistics, stored_model
from restorebench_classical.methods import METHODS
from restorebench_classical.synthesis import centre, degrade, photographs, synthesiser


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """Score in dB after rounding to 8 bits, peak 1, RGB; at most 100."""
    levels = np.round(np.clip(image, 0, 1).astype(np.float64) * 255) / 255
    return min(float(-10 * np.log10(np.square(levels - clean).mean() + 1e-10)), 100.0)


def verdict(detector: Statistics, image: np.ndarray) -> str:
    """Return the detector's first label, `clean` where there is none."""
    return detector.detect_one(image).top or CLEAN


def main() -> None:
    """Print a line per task: degraded, restored, gain, seconds, and how often the detector is right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean_dir")
    parser.add_argument("--severity", type=int, default=3)
    parser.add_argument("--limit", type=int, default=None, help="use the first so many photographs")
    parser.add_argument("--detector-only", action="store_true")
    arguments = parser.parse_args()
    pictures = [read(path) for path in photographs(arguments.clean_dir)[: arguments.limit]]
    detector = Statistics(stored_model())
    print(
        f"| task (severity {arguments.severity}) | identity | classical | gain | s/image | detected | mistaken |"
    )
    print("|---|---|---|---|---|---|---|")
    rates = []
    for task in TEN_NAMES:
        maker = synthesiser(task)
        rows, verdicts = [], []
        for clean in pictures:
            whole = degrade(maker, task, clean, arguments.severity)
            degraded, target = centre(whole), centre(clean)
            verdicts.append(verdict(detector, whole))
            started = perf_counter()
            restored = degraded if arguments.detector_only else METHODS[task](degraded)
            rows.append((psnr(degraded, target), psnr(restored, target), perf_counter() - started))
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
