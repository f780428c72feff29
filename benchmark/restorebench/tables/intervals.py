"""Confidence intervals for small samples of images that share scenes. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, stdtrit

from restorebench.tables import bootstrap
from restorebench.tables.bootstrap import Array

MIN_SCENES_FOR_INTERVAL = 5
BOOTSTRAP_FROM = 30
"""Scenes needed for the percentile bootstrap to be as accurate as the t interval; with fewer it is too narrow."""
BOOTSTRAP_BELOW = 200
"""Scenes from which on the t interval differs from the bootstrap's by less than another set of draws would."""

Interval = tuple[float, float]
Values = Sequence[float] | Array
Positions = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def interval(values: Values, scenes: Sequence[str], level: float = 0.95) -> Interval | None:
    """Return the confidence interval of the mean over images, with scenes as the independent units.

    None for fewer than five scenes. From 30 to 199 scenes it is a percentile bootstrap, else a t interval on the
    influences of the scenes.
    """
    return average_interval([(values, scenes)], level)


def share(
    tasks: Sequence[tuple[Sequence[bool], Sequence[str]]], level: float = 0.95
) -> tuple[float, float, float]:
    """Return the share of true flags, the unweighted mean over tasks, with its confidence interval.

    It is the exact binomial interval of as many independent images as would vary like these: the method of Korn
    and Graubard ("Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", 1998). Where the scenes do not vary, each counts as one image.

    tasks: per task, the flag and the scene of each image. Scenes are as in `average_interval`.
    """
    _, sums, counts = _by_scene(tasks)
    means = sums.sum(axis=1) / counts.sum(axis=1)
    rate, scenes = float(means.mean()), sums.shape[1]
    variance = float(np.square(_influence(sums, counts)).sum()) if scenes > 1 else 0.0
    independent, images = float(scenes), float(counts.sum())
    if 0 < rate < 1 and variance > 0:
        few = stdtrit(images - 1, 0.5 + level / 2) / stdtrit(scenes - 1, 0.5 + level / 2)
        independent = min(rate * (1 - rate) / variance * few**2, images)
    true, tail = rate * independent, (1 - level) / 2
    low = float(betaincinv(true, independent - true + 1, tail)) if rate > 0 else 0.0
    high = float(betaincinv(true + 1, independent - true, 1 - tail)) if rate < 1 else 1.0
    return rate, low, high


def average_interval(tasks: Sequence[tuple[Values, Sequence[str]]], level: float = 0.95) -> Interval | None:
    """Return the confidence interval of the unweighted mean of task means.

    tasks: per task, image values and their scenes. A scene that occurs in several tasks is one photograph
    and is drawn jointly. None if a task has fewer than five scenes. A percentile bootstrap if every task has 30
    scenes and all together fewer than 200, else a t interval.
    """
    names, sums, counts = _by_scene(tasks)
    fewest = int((counts > 0).sum(axis=1).min()) if len(tasks) else 0
    if fewest < MIN_SCENES_FOR_INTERVAL:
        return None
    if fewest < BOOTSTRAP_FROM or len(names) >= BOOTSTRAP_BELOW:
        return _linearised(sums, counts, fewest, level)
    return _bootstrapped(bootstrap.drawn(names), sums, counts, level)


def _by_scene(tasks: Sequence[tuple[Values, Sequence[str]]]) -> tuple[tuple[str, ...], Array, Array]:
    """Return the names of the scenes, and the sums of values and numbers of images, (tasks, scenes) each."""
    names, positions = _layout(tuple(tuple(scenes) for _, scenes in tasks))
    sums, counts = np.zeros((len(tasks), len(names))), np.zeros((len(tasks), len(names)))
    for task, ((values, _), at) in enumerate(zip(tasks, positions, strict=True)):
        sums[task] = np.bincount(at, np.asarray(values, dtype=float), len(names))
        counts[task] = np.bincount(at, minlength=len(names))
    return names, sums, counts


@lru_cache(maxsize=4)
def _layout(tasks: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], tuple[Positions, ...]]:
    """Return the names of all scenes and, by task, where those of its images are; rows and columns share it."""
    names = tuple(sorted({name for scenes in tasks for name in scenes}))
    columns = {name: index for index, name in enumerate(names)}
    return names, tuple(np.array([columns[name] for name in scenes], dtype=np.int64) for scenes in tasks)


def _influence(sums: Array, counts: Array) -> Array:
    """Return how far each scene moves the mean of task means, (scenes,); their squares sum up to its variance.

    Scene s moves the mean of a task by (sum_s - n_s * mean) / N: the ratio estimator, Cochran, Sampling
    Techniques, 3rd ed., section 6. Each task has its own factor S / (S - 1), so a task of few scenes is not
    corrected as if it had the scenes of all tasks.
    """
    totals = counts.sum(axis=1, keepdims=True)
    means = sums.sum(axis=1, keepdims=True) / totals
    scenes = (counts > 0).sum(axis=1, keepdims=True)
    few = np.sqrt(scenes / np.maximum(scenes - 1, 1))
    return np.asarray((few * (sums - counts * means) / totals).mean(axis=0))


def _linearised(sums: Array, counts: Array, fewest: int, level: float) -> Interval:
    """Return a t interval from each scene's influence on the average."""
    error = float(np.sqrt(np.square(_influence(sums, counts)).sum()))
    half = float(stdtrit(fewest - 1, 0.5 + level / 2)) * error
    centre = float((sums.sum(axis=1) / counts.sum(axis=1)).mean())
    return centre - half, centre + half


def _bootstrapped(drawn: Array, sums: Array, counts: Array, level: float) -> Interval:
    """Take percentiles of the average over draws, the same for every task. drawn: (draws, scenes)."""
    totals = drawn @ counts.T  # (draws, tasks)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(totals > 0, (drawn @ sums.T) / totals, np.nan)
    low, high = np.percentile(np.nanmean(means, axis=1), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
