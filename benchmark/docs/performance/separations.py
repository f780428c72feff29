"""How often comparisons separate methods that are equal, and how often they find one that is better.

Boards of simulated scores go through `restorebench.compare_table`: per image an effect common to all methods
(sd 3 dB) and a residual per method (sd 0.5 to 1.5 dB) of one of four shapes.
Run `python separations.py --boards 400`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from restorebench import compare_table

SCENES = (6, 10, 12, 40, 100, 300)
METHODS = 8
Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def gaussian(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return rng.normal(size=size)


def heavy_tails(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Student's t with 3 degrees of freedom, of variance one."""
    return rng.standard_t(3, size) / np.sqrt(3)


def failures(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Fail on 3 % of images by 6 dB on average, and be that much better elsewhere, so that the mean is 0."""
    lost = (rng.random(size) < 0.03) * rng.exponential(6, size)
    return rng.normal(size=size) - lost + 0.03 * 6


def opposed_skew(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Skewed to the right for every second method and to the left for the others."""
    signs = np.where(np.arange(size[0]) % 2, 1, -1)[:, None]
    return signs * (rng.exponential(size=size) - 1)


SHAPES: dict[str, Noise] = {
    "Gaussian": gaussian,
    "t, 3 degrees of freedom": heavy_tails,
    "occasional failures": failures,
    "opposed skew": opposed_skew,
}


def separated(scores: np.ndarray) -> pd.DataFrame:
    """Return the pairs of a board, (methods, scenes) scores, that are separated."""
    methods, scenes = scores.shape
    frame = pd.DataFrame(
        {
            "method": np.repeat(np.arange(methods), scenes),
            "scene": np.tile(np.arange(scenes), methods),
            "value": scores.ravel(),
        }
    )
    found = compare_table(frame, method="method", value="value", scene="scene")
    return found[found.separated.fillna(False)]


def false_separations(shape: Noise, scenes: int, boards: int, seed: int) -> float:
    """Return the share of boards of equal methods on which any pair is separated."""
    rng = np.random.default_rng([seed, scenes])
    wrong = 0
    for _ in range(boards):
        spread = rng.uniform(0.5, 1.5, METHODS)[:, None]
        board = rng.normal(0, 3, scenes) + spread * shape(rng, (METHODS, scenes))
        wrong += len(separated(board)) > 0
    return wrong / boards


def power(methods: int, scenes: int, paired_sd: float, boards: int, seed: int, gain: float = 0.3) -> float:
    """Return the share of boards on which the one better method is separated from a given other one.

    paired_sd: of the difference of two methods, image by image.
    """
    rng = np.random.default_rng([seed, methods, scenes])
    found = 0
    for _ in range(boards):
        board = rng.normal(0, 3, scenes) + paired_sd / np.sqrt(2) * rng.normal(size=(methods, scenes))
        board[0] += gain
        pairs = separated(board)
        found += ((pairs.a == "0") & (pairs.b == "1") & (pairs.difference > 0)).any()
    return found / boards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=400, help="boards per cell of the table")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    allowed = 0.05 + 2 * np.sqrt(0.05 * 0.95 / given.boards)
    began = time.process_time()
    print(f"False separations, {METHODS} equal methods, {given.boards} boards a cell; at most {allowed:.3f}\n")
    print("| shape | " + " | ".join(f"{n} scenes" for n in SCENES) + " |")
    print("|---" * (len(SCENES) + 1) + "|")
    worst = 0.0
    for name, shape in SHAPES.items():
        cells = []
        for scenes in SCENES:
            cells.append(false_separations(shape, scenes, given.boards, given.seed))
            worst = max(worst, cells[-1])
        print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |", flush=True)
    print(f"\nworst {worst:.3f}: {'holds' if worst <= allowed else 'DOES NOT HOLD'}\n")
    print("Power for 0.3 dB at 100 scenes\n\n| methods | paired sd | power |\n|---|---|---|")
    for methods, spread in ((8, 0.64), (2, 1.0)):
        print(
            f"| {methods} | {spread} | {power(methods, 100, spread, given.boards, given.seed):.3f} |", flush=True
        )
    print(f"\n{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
