"""Fit the detector: `python -m restorebench_classical.fit CLEAN_DIR [--photographs N] [--seed 0]`."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorebench import CLEAN, TEN_NAMES, RestorebenchError, synthesisers
from restorebench.toolbox import linear, photographs
from restorebench.toolbox.images import read
from restorebench.toolbox.linear import LinearModel
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import centre_crop, degrade
from restorebench_classical.detector import MODEL
from restorebench_classical.statistics import features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restorebench import Degradation

CLASSES = (*TEN_NAMES, CLEAN)
CROP_PX = 256
SEVERITIES_PER_PHOTOGRAPH = 2
RIDGE = 1e-3  # four-fold over training photographs, flat between 1e-4 and 3e-3
CLEAN_WEIGHT = 4.0
"""Weight of a clean image relative to a degraded one; there are twenty degraded images per photograph.

Four-fold over the training photographs, share of right answers on the ten tasks / on clean images: weight 1
.93 / .24, 2 .91 / .53, 4 .88 / .79, 8 .85 / .89. The mean over all eleven classes is flat from 1 to 4 and falls
from there on.
"""


def examples(
    path: Path, whole: bool, makers: Mapping[str, Degradation], seed: int
) -> list[tuple[np.ndarray, int]]:
    """Return statistics and class of one photograph, clean and under every task; of all or its 256 px centre."""
    clean = read(path)
    view = np.asarray if whole else partial(centre_crop, side=CROP_PX)
    rng = generator(seed, "severities", path.name)
    rows = [(features(view(clean)), CLASSES.index(CLEAN))]
    for task in TEN_NAMES:
        for severity in rng.choice(5, SEVERITIES_PER_PHOTOGRAPH, replace=False) + 1:
            image = degrade(makers[task], clean, task, int(severity), seed)
            rows.append((features(view(image)), CLASSES.index(task)))
    return rows


def fit(statistics: np.ndarray, classes: np.ndarray, ridge: float = RIDGE) -> LinearModel:
    """Fit a model to (N, K) statistics and (N,) class numbers; clean rows have a larger weight."""
    importance = np.where(classes == CLASSES.index(CLEAN), CLEAN_WEIGHT, 1.0)
    return linear.fit(statistics, classes, CLASSES, ridge, importance)


def main(arguments: Sequence[str] | None = None) -> None:
    """Degrade photographs, compute statistics, fit, store the model, and print lines for its model card."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_classical.fit", description=__doc__)
    parser.add_argument("clean_dir")
    parser.add_argument(
        "--photographs", type=int, default=None, help="how many, drawn by the seed; all by default"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name(MODEL))
    given = parser.parse_args(arguments)
    for name in ("photographs", "workers"):
        if (number := getattr(given, name)) is not None and number < 1:
            parser.error(f"--{name} must be at least 1")
    if not given.output.absolute().parent.is_dir():
        parser.error(f"--output {given.output}: its folder does not exist")
    try:
        run(given)
    except RestorebenchError as error:
        parser.error(str(error))


def run(given: argparse.Namespace) -> None:
    """Fit as the command line says.

    Raises:
        RestorebenchError: there are no photographs, or one cannot be read.
    """
    found = photographs.listed(given.clean_dir)
    order = generator(given.seed, "photographs").permutation(len(found))
    chosen = sorted(found[i] for i in order[: given.photographs])
    halves = [index % 2 == 0 for index in range(len(chosen))]
    describe = partial(examples, makers=synthesisers(), seed=given.seed)
    with ProcessPoolExecutor(given.workers) as pool:
        described = list(pool.map(describe, chosen, halves))
    rows, classes = zip(*chain.from_iterable(described), strict=True)
    fit(np.array(rows), np.array(classes)).save(given.output)
    print(f"photographs: {len(chosen)} of {len(found)}; images: {len(rows)}; statistics: {len(rows[0])}")
    print(f"seed: {given.seed}; sha256 over sorted digests:", photographs.digest(chosen))


if __name__ == "__main__":
    main()
