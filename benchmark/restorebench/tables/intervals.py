"""Confidence intervals for small samples of images that share scenes. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

MIN_SCENES_FOR_INTERVAL = 5
MIN_SCENES_FOR_RANK = 10
BOOTSTRAP_FROM = 30
"""Scenes needed for the percentile bootstrap to be as accurate as the t interval; with fewer it is too narrow."""
DRAWS = 10_000
_CELLS = 1_000_000  # draws times scenes in memory at a time: three arrays of 8 MB

Interval = tuple[float, float]
_Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def seed_from(digest: str) -> int:
    """Turn a hexadecimal digest into a seed."""
    return int(digest, 16)


def interval(values: Sequence[float], scenes: Sequence[str], seed: int, level: float = 0.95) -> Interval | None:
    """Return the confidence interval of the mean over images, with scenes as the independent units.

    None for fewer than five scenes. For fewer than 30 it is a t interval on the influences of the scenes, from
    30 on a percentile bootstrap.
    """
    return average_interval([(values, scenes)], seed, level)


def average_interval(
    tasks: Sequence[tuple[Sequence[float], Sequence[str]]], seed: int, level: float = 0.95
) -> Interval | None:
    """Return the confidence interval of the unweighted mean of task means.

    tasks: per task, image values and their scenes. A scene that occurs in several tasks is one photograph
    and is drawn jointly. None if a task has fewer than five scenes.
    """
    names = sorted({name for _, scenes in tasks for name in scenes})
    columns = {name: index for index, name in enumerate(names)}
    sums, counts = np.zeros((len(tasks), len(names))), np.zeros((len(tasks), len(names)))
    for row, (values, scenes) in enumerate(tasks):
        indices = [columns[name] for name in scenes]
        np.add.at(sums[row], indices, np.asarray(values, dtype=float))
        np.add.at(counts[row], indices, 1.0)
    fewest = int((counts > 0).sum(axis=1).min()) if len(tasks) else 0
    if fewest < MIN_SCENES_FOR_INTERVAL:
        return None
    if fewest < BOOTSTRAP_FROM:
        return _linearised(sums, counts, fewest, level)
    return _bootstrapped(sums, counts, seed, level)


def _linearised(sums: _Array, counts: _Array, fewest: int, level: float) -> Interval:
    """Return a t interval from each scene's influence on the average: the variance of the ratio estimator.

    Scene s moves the mean of a task by (sum_s - n_s * mean) / N. With one image per scene this is the
    ordinary t interval. Cochran, Sampling Techniques, 3rd ed., section 6. Each task has its own
    factor S / (S - 1), so a task of few scenes is not corrected as if it had the scenes of all tasks.
    """
    totals = counts.sum(axis=1, keepdims=True)
    means = sums.sum(axis=1, keepdims=True) / totals
    scenes = (counts > 0).sum(axis=1, keepdims=True)
    influence = (np.sqrt(scenes / (scenes - 1)) * (sums - counts * means) / totals).mean(axis=0)
    error = float(np.sqrt(np.square(influence).sum()))
    half = float(stdtrit(fewest - 1, 0.5 + level / 2)) * error
    centre = float(means.mean())
    return centre - half, centre + half


def _bootstrapped(sums: _Array, counts: _Array, seed: int, level: float) -> Interval:
    """Draw scenes with replacement, the same draw for every task, and take percentiles of the average."""
    rng = np.random.Generator(np.random.Philox(seed))
    scenes = sums.shape[1]
    rows = max(_CELLS // scenes, 1)
    averages = [_drawn(sums, counts, rng, min(rows, DRAWS - begun)) for begun in range(0, DRAWS, rows)]
    low, high = np.percentile(np.concatenate(averages), [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _drawn(sums: _Array, counts: _Array, rng: np.random.Generator, draws: int) -> _Array:
    """Return the averages (draws,) of that many random draws of scenes."""
    scenes = sums.shape[1]
    indices = rng.integers(scenes, size=(draws, scenes))
    indices += scenes * np.arange(draws)[:, None]  # counting is four times as fast as multinomial
    drawn = np.bincount(indices.ravel(), minlength=draws * scenes).reshape(draws, scenes).astype(float)
    totals = drawn @ counts.T  # (draws, tasks)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(totals > 0, (drawn @ sums.T) / totals, np.nan)
    averages: _Array = np.nanmean(means, axis=1)
    return averages
