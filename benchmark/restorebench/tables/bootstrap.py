"""Draws of scenes with replacement, which stand for other samples of photographs. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import numpy as np

from restorebench.toolbox.digests import digest

DRAWS = 9_999

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Scenes = tuple[str, ...]


def in_portions(sets: Iterable[Scenes], draws: int, portion: int) -> Iterator[Mapping[Scenes, Array]]:
    """Yield, by set of scenes, how often each scene was drawn, (draws, scenes), a portion of the draws at a time.

    The draws depend on the names of the scenes alone, not on their order and not on the size of a portion.
    """
    generators = {
        scenes: np.random.Generator(np.random.Philox(int(digest(sorted(scenes)), 16))) for scenes in sets
    }
    orders = {scenes: np.argsort(np.argsort(np.array(scenes, dtype=object))) for scenes in generators}
    for begun in range(0, draws, portion):
        number = min(portion, draws - begun)
        yield {
            scenes: _counted(generator, len(scenes), number)[:, orders[scenes]]
            for scenes, generator in generators.items()
        }


@lru_cache(maxsize=8)
def drawn(scenes: Scenes) -> Array:
    """Return all draws of a set of scenes at once, (DRAWS, scenes); for small sets only, as they are kept."""
    (portion,) = in_portions([scenes], DRAWS, DRAWS)
    return portion[scenes]


def _counted(generator: np.random.Generator, scenes: int, draws: int) -> Array:
    """Draw as many scenes as there are, with replacement; return how often each came, (draws, scenes)."""
    picks = generator.integers(scenes, size=(draws, scenes))
    picks += scenes * np.arange(draws)[:, None]  # counting is four times as fast as a multinomial generator
    return np.bincount(picks.ravel(), minlength=draws * scenes).reshape(draws, scenes).astype(float)
