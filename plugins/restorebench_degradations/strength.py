"""Measure the strength of the synthesisers, and compare it with the values to which they were calibrated.

    python -m restorebench_degradations.strength CLEAN_DIR [--limit N] [--tasks NAME ...] [--sheet FILE]

prints the mean PSNR of degraded photographs per task and severity, and the time per image. Mixtures are written
`hazy+rainy`; `--tasks mixtures` means the seven of CDD-11.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorebench import TEN, TEN_NAMES, Degradation, RestorebenchError, Runtime
from restorebench.toolbox import images, photographs
from restorebench.toolbox.options import loaded
from restorebench.toolbox.synthesis import degrade, psnr
from restorebench_degradations import restorebench_degradations

if TYPE_CHECKING:
    from restorebench import Image

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

CDD_INPUTS = {
    "hazy+low-light": 14.9,
    "low-light+rainy": 14.6,
    "low-light+snowy": 13.5,
    "hazy+rainy": 14.8,
    "hazy+snowy": 14.8,
    "hazy+low-light+rainy": 15.3,
    "hazy+low-light+snowy": 14.6,
}
"""Mean PSNR in dB of the degraded images of CDD-11 (Guo et al., ECCV 2024): other photographs, other recipes."""
CDD_SEVERITY = 2
"""The severity of the suite `composite`, which should come close to the values of CDD-11."""

SEVERITIES = (1, 2, 3, 4, 5)
SHEET_SEVERITIES = (1, 3, 5)


def default(task: str) -> Degradation:
    """Load the synthesiser of one of the ten tasks, or of a mixture, with its default options."""
    cards = {card.name: card for card in restorebench_degradations()}
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, lambda kind, name: cards[name])
    parts = task.split("+")
    name, given = (task, {}) if len(parts) == 1 else ("composite", {"parts": parts})
    synthesiser: Degradation = loaded(cards[name], given, runtime)
    return synthesiser


def target(task: str, severity: int) -> float | None:
    """Return the expected mean PSNR in dB, if there is one."""
    if task in TARGETS:
        return TARGETS[task][severity - 1]
    return CDD_INPUTS.get(task) if severity == CDD_SEVERITY else None


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
    """Tile a photograph and its degradations: one row per task; the columns are clean and severities 1, 3, 5."""
    rows: list[Image] = [
        np.concatenate([clean, *(degrade(default(task), clean, task, each) for each in SHEET_SEVERITIES)], axis=1)
        for task in tasks
    ]
    return np.concatenate(rows, axis=0)


def _cell(mean: float, expected: float | None) -> str:
    return f"{mean:.2f}" if expected is None else f"{mean:.2f} ({expected:.1f}, {mean - expected:+.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the contact sheet if one is asked for."""
    about = __doc__.splitlines()[0] if __doc__ else None
    parser = argparse.ArgumentParser(prog="python -m restorebench_degradations.strength", description=about)
    parser.add_argument("clean", help="folder of clean photographs, or `embedded`")
    parser.add_argument("--limit", type=int, help="use only the first N photographs")
    parser.add_argument(
        "--tasks", nargs="+", default=TEN_NAMES, help="tasks to measure, `mixtures` for those of CDD-11"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="PNG to write: ten tasks at severities 1, 3, 5")
    given = parser.parse_args(arguments)
    tasks = tuple(CDD_INPUTS) if given.tasks == ["mixtures"] else tuple(given.tasks)
    if unknown := [task for task in tasks if not set(task.split("+")) <= set(TEN_NAMES)]:
        parser.error(f"--tasks: {unknown[0]!r} is not one of {', '.join(TEN_NAMES)}, nor a mixture of them")
    try:
        pictures = [images.read(path) for path in photographs.listed(given.clean, given.limit)]
    except RestorebenchError as error:
        parser.error(str(error))
    if given.sheet:
        images.write_png(given.sheet, sheet(pictures[0], tasks))
    print(f"{len(pictures)} photographs, seed {given.seed}; each cell: measured (target, difference) in dB\n")
    print("| task | 1 | 2 | 3 | 4 | 5 | ms |\n|---|---|---|---|---|---|---|")
    for task in tasks:
        means, milliseconds = measure(task, pictures, given.seed)
        cells = [_cell(mean, target(task, severity)) for mean, severity in zip(means, SEVERITIES, strict=True)]
        print(f"| {task} | {' | '.join(cells)} | {milliseconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
