"""Pairs of rows that agree on so many scenes that a bootstrap of scenes says nothing of them."""

from __future__ import annotations

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def chance_of_no_spread(differences: Array) -> Array:
    """Return per pair the chance that a draw has scenes of one and the same difference alone, (pairs,).

    differences: (scenes, pairs).
    """
    scenes = len(differences)
    ordered = np.sort(np.round(differences, 9), axis=0)
    number = np.arange(scenes)[:, None]
    changed = np.vstack([np.ones((1, ordered.shape[1]), bool), ordered[1:] != ordered[:-1]])
    begun = np.maximum.accumulate(np.where(changed, number, 0), axis=0)
    most = (number - begun).max(axis=0) + 1
    return np.asarray((most / scenes) ** scenes)


def untested(missing: Array, level: float) -> Flags:
    """Choose the pairs that are not tested: their rows agree on so many scenes that the test says nothing of them.

    Two rows that differ on two scenes of forty have no spread in 13 % of all draws, and a statistic without bound
    there. Such a pair could hardly be separated whatever its scores, and would keep all others from it. It is left
    out, and its p is 1; a choice that does not look at the differences themselves keeps the error rate of the rest
    (Tarone, "A modified Bonferroni method for discrete data", 1990). Kept are as many pairs as have together at
    most a fifth of the error rate.

    missing: (pairs,) chances that a draw has no spread; 1 for a pair that differs by the same everywhere, which is
    tested, as no draw moves its difference.
    """
    chances = np.where(missing == 1, 0.0, missing)
    order = np.argsort(chances, kind="stable")
    out = np.zeros(len(missing), dtype=bool)
    out[order[np.cumsum(chances[order]) > (1 - level) / 5]] = True
    return out
