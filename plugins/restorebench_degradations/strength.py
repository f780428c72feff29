"""Measure how strong the synthesisers are, beside the figures they were calibrated to.

    python -m restorebench_degradations.strength CLEAN_DIR [--limit N] [--sheet FILE]

prints the mean PSNR of degraded photographs per task and severity, and the time per image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorebench import TEN_NAMES, RestorebenchError
from restorebench.contracts import Degradation, resolve
from restorebench.toolbox import images, photographs
from restorebench.toolbox.synthesis import degrade, psnr
from restorebench_degradations import restorebench_degradations

if TYPE_CHECKING:
    from restorebench.contracts import Image

TARGETS: dict[str, tuple[float, ...]] = {
    "motion-blurry": (26.6, 23.9, 22.5, 21.4, 20.5),
    "hazy": (17.3, 14.2, 12.1, 10.1, 8.8),
    "jpeg-compressed": (30.2, 29.3, 28.0, 25.7, 23.1),
    "low-light": (16.2, 12.5, 10.4, 9.3, 8.6),
    "noisy": (24.9, 20.7, 17.9, 15.1, 12.2),
    "raindrop": (31.1, 26.0, 21.8, 18.7, 16.1),
    "rainy": (24.6, 17.4, 12.5, 10.0, 7.3),
    "shadowed": (26.9, 21.6, 17.6, 14.9, 12.5),
    "snowy": (28.1, 24.0, 21.4, 17.8, 13.4),
    "uncompleted": (13.8, 10.9, 9.0, 7.8, 6.7),
}
"""Mean PSNR in dB of the recipes over 58 validation photographs at native size, severities 1 to 5."""

SEVERITIES = (1, 2, 3, 4, 5)
SHEET_SEVERITIES = (1, 3, 5)


def default(task: str) -> Degradation:
    """Load the synthesiser of one of the ten tasks with its default options."""
    card = next(card for card in restorebench_degradations() if card.name == task)
    loaded: Degradation = resolve(card.load)(resolve(card.options or "")(), None)
    return loaded


def measure(task: str, pictures: Sequence[Image], seed: int = 0) -> tuple[list[float], float]:
    """Return the mean PSNR in dB per severity, and the milliseconds that one image took."""
    degradation = default(task)
    means, start = [], time.perf_counter()
    for severity in SEVERITIES:
        means.append(
            float(np.mean([psnr(degrade(degradation, clean, task, severity, seed), clean) for clean in pictures]))
        )
    return means, (time.perf_counter() - start) * 1000 / (len(pictures) * len(SEVERITIES))


def sheet(clean: Image, tasks: Sequence[str] = TEN_NAMES) -> Image:
    """Tile a photograph and its degradations: one row per task, columns clean and severities 1, 3, 5."""
    rows: list[Image] = [
        np.concatenate([clean, *(degrade(default(task), clean, task, each) for each in SHEET_SEVERITIES)], axis=1)
        for task in tasks
    ]
    return np.concatenate(rows, axis=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the contact sheet where one is asked for."""
    about = __doc__.splitlines()[0] if __doc__ else None
    parser = argparse.ArgumentParser(prog="python -m restorebench_degradations.strength", description=about)
    parser.add_argument("clean", help="folder of clean photographs, or `embedded`")
    parser.add_argument("--limit", type=int, help="use only the first N photographs")
    parser.add_argument("--tasks", nargs="+", default=TEN_NAMES, choices=TEN_NAMES, help="tasks to measure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="PNG to write: ten tasks at severities 1, 3, 5")
    given = parser.parse_args(arguments)
    try:
        pictures = [images.read(path) for path in photographs.listed(given.clean, given.limit)]
    except RestorebenchError as error:
        parser.error(str(error))
    if given.sheet:
        images.write_png(given.sheet, sheet(pictures[0], given.tasks))
    print(f"{len(pictures)} photographs, seed {given.seed}; each cell: measured (target, difference) in dB\n")
    print("| task | 1 | 2 | 3 | 4 | 5 | ms |\n|---|---|---|---|---|---|---|")
    for task in given.tasks:
        means, milliseconds = measure(task, pictures, given.seed)
        cells = [f"{m:.2f} ({t:.1f}, {m - t:+.1f})" for m, t in zip(means, TARGETS[task], strict=True)]
        print(f"| {task} | {' | '.join(cells)} | {milliseconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
