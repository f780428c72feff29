"""Compare rows that scored the same images, pair by pair, with one error rate for all pairs of a family.

The procedure is the studentised bootstrap of the greatest statistic, stepping down (Romano and Wolf, "Exact and
approximate stepdown methods for multiple hypothesis testing", 2005). Scenes are the independent units and are
drawn with replacement. Pure functions on arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from restorebench.tables import ties
from restorebench.toolbox.digests import digest

MIN_SCENES = 6
"""Below this many scenes nothing is compared."""
DRAWS = 9_999
LEVEL = 0.95
MOST_SCENES_NEEDED = 10_000
_POWER = 0.8  # the chance with which `scenes_needed` scenes would separate a pair
_MOST_STEPS = 435  # pairs of 30 rows
_FLOOR = 1e-12  # of a drawn standard error: a draw of one scene alone has none
_CELLS = 1_000_000  # draws times scenes held at a time: 8 MB

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Pairs = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Stratum:
    """Scenes that are drawn together, from one task or from several that share photographs.

    scenes: their names. counts: (scenes,) images of each. sums: (rows, scenes), a row's scores summed over the
    images of a scene. weight: the share of this stratum's mean in the mean that is compared.
    """

    scenes: tuple[str, ...]
    counts: Array
    sums: Array
    weight: float = 1.0

    @cached_property
    def means(self) -> Array:
        """(rows,) means over images."""
        return np.asarray(self.sums.sum(axis=1) / self.counts.sum())


@dataclass(frozen=True)
class PairedRows:
    """Rows that are compared with one error rate. pairs: (pairs, 2), numbers of the rows compared."""

    strata: tuple[Stratum, ...]
    pairs: Pairs

    @property
    def scenes(self) -> int:
        """How many scenes the smallest stratum has."""
        return min(len(stratum.scenes) for stratum in self.strata)


@dataclass(frozen=True)
class Compared:
    """What was found of a family: one number per pair in every array.

    difference: mean of the first row minus mean of the second. error: its standard error. p: adjusted for all
    pairs of the family. critical: the value, in standard errors, that the pair had to exceed in its own step; NaN
    where no difference could have been shown. joint: the value that holds for all pairs at once.
    """

    difference: Array
    error: Array
    p: Array
    critical: Array
    joint: float
    level: float = LEVEL

    @property
    def low(self) -> Array:
        """Lower ends of the intervals, which exclude zero exactly where p <= 1 - level."""
        return np.asarray(self.difference - self.critical * self.error)

    @property
    def high(self) -> Array:
        return np.asarray(self.difference + self.critical * self.error)

    @property
    def separated(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.asarray(self.p <= 1 - self.level)

    def scenes_needed(self, scenes: int) -> Array:
        """Estimate from how many scenes on each pair would be separated with a chance of 0.8.

        The observed difference and spread are taken for the true ones, and Student's t with Bonferroni's
        correction for the test. At least one more than there were; infinite where the means are equal.

        scenes: how many there were.
        """
        tail = (1 - self.level) / 2 / max(len(self.p), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.square(self.error / self.difference) * scenes
        needed: Array = np.full(len(self.p), float(MOST_SCENES_NEEDED))
        for _ in range(50):  # fewer scenes have heavier tails: repeat until the number agrees with its own tails
            freedom = np.clip(needed, MIN_SCENES, MOST_SCENES_NEEDED) - 1
            needed = np.square(stdtrit(freedom, 1 - tail) + stdtrit(freedom, _POWER)) * spread
        return np.where(self.difference == 0, np.inf, np.maximum(np.ceil(needed), scenes + 1))


def all_pairs(rows: int) -> Pairs:
    """Return every pair (first < second) of so many rows, (pairs, 2)."""
    return np.stack(np.triu_indices(rows, 1), axis=1).astype(np.int64)


def pairs_with(row: int, rows: int) -> Pairs:
    """Return the pairs of every other row with one row, which stands second."""
    others = [number for number in range(rows) if number != row]
    return np.array([[number, row] for number in others], dtype=np.int64).reshape(-1, 2)


def compare(families: Sequence[PairedRows], level: float = LEVEL, draws: int = DRAWS) -> list[Compared]:
    """Compare the pairs of every family. Families over the same scenes share one set of draws.

    The draws depend on the names of the scenes alone: neither the order of rows or scenes nor the number of images
    of a scene changes them.

    Raises:
        ValueError: a family has fewer than six scenes, or so few draws cannot show anything at this level.
    """
    if not 0 < level < 1 or (1 - level) * (draws + 1) < 1 - 1e-9:
        raise ValueError(
            f"{draws} draws at a level of {level}: the level is above 0 and below 1, and needs more draws"
        )
    together: dict[tuple[tuple[str, ...], ...], list[int]] = defaultdict(list)
    for number, family in enumerate(families):
        if family.scenes < MIN_SCENES:
            raise ValueError(f"a comparison needs at least {MIN_SCENES} scenes, not {family.scenes}")
        together[tuple(stratum.scenes for stratum in family.strata)].append(number)
    found: dict[int, Compared] = {}
    for scenes, numbers in together.items():
        tests = [_Test(families[number], level) for number in numbers]
        for drawn in _draws(scenes, draws):
            for test in tests:
                test.add(drawn)
        found |= {number: test.outcome() for number, test in zip(numbers, tests, strict=True)}
    return [found[number] for number in range(len(families))]


def _draws(strata: Sequence[tuple[str, ...]], draws: int) -> Iterator[list[Array]]:
    """Yield, in portions, how often each scene of each stratum was drawn: (draws, scenes) per stratum."""
    sizes = [len(scenes) for scenes in strata]
    generators = [np.random.Generator(np.random.Philox(int(digest(sorted(scenes)), 16))) for scenes in strata]
    orders = [np.argsort(np.argsort(scenes)) for scenes in strata]  # of sorted scenes, back to the order given
    rows = max(_CELLS // max(sizes), 1)
    for begun in range(0, draws, rows):
        portion = min(rows, draws - begun)
        yield [
            _counted(generator, size, portion)[:, order]
            for generator, size, order in zip(generators, sizes, orders, strict=True)
        ]


def _counted(generator: np.random.Generator, scenes: int, draws: int) -> Array:
    """Draw as many scenes as there are, with replacement; return how often each came, (draws, scenes)."""
    drawn = generator.integers(scenes, size=(draws, scenes))
    drawn += scenes * np.arange(draws)[:, None]  # counting is four times as fast as a multinomial generator
    return np.bincount(drawn.ravel(), minlength=draws * scenes).reshape(draws, scenes).astype(float)


class _Test:
    """One family while its draws come in.

    Up to _MOST_STEPS pairs step down. For more, the greatest statistic of all pairs is used for each: it is
    stricter.
    """

    def __init__(self, family: PairedRows, level: float) -> None:
        self._level = level
        self._chunks = [
            [_Part(stratum, pairs) for stratum in family.strata]
            for start in range(0, max(len(family.pairs), 1), _MOST_STEPS)
            if len(pairs := family.pairs[start : start + _MOST_STEPS])
        ]
        self.difference = np.concatenate([_summed(p.weight * p.difference for p in c) for c in self._chunks])
        self.error = np.concatenate(
            [np.sqrt(_summed(np.square(p.weight * p.error) for p in c)) for c in self._chunks]
        )
        self._statistic = np.abs(self.difference) / np.maximum(self.error, _FLOOR)
        missing = np.concatenate([np.prod([p.constant for p in c], axis=0) for c in self._chunks])
        self._untested = ties.untested(missing, level)
        self._order = np.argsort(np.where(self._untested, -1.0, -self._statistic), kind="stable")
        self._order = self._order[~self._untested[self._order]]
        self._greatest: list[Array] = []

    def add(self, drawn: Sequence[Array]) -> None:
        """Note, for every step, the greatest statistic of the pairs that remain in it."""
        whole: Array = np.zeros((len(drawn[0]), 1))
        for number, chunk in enumerate(self._chunks):
            begin = number * _MOST_STEPS
            statistic = _statistic(chunk, drawn)
            if len(self._chunks) > 1:
                able = statistic[:, ~self._untested[begin : begin + statistic.shape[1]]]
                whole = np.maximum(whole, able.max(axis=1, keepdims=True, initial=0.0))
            else:
                remaining = statistic[:, self._order[::-1]]
                whole = np.maximum.accumulate(remaining, axis=1)[:, ::-1]
        self._greatest.append(whole)

    def outcome(self) -> Compared:
        """Step down from the greatest statistic to the smallest."""
        greatest = np.concatenate(self._greatest)
        draws = len(greatest)
        p: Array = np.ones(len(self._statistic))
        critical: Array = np.full(len(p), np.nan)
        joint = np.nan
        if len(self._order):
            reached = (greatest >= self._statistic[self._order]).sum(axis=0)
            stepped = np.maximum.accumulate((1 + reached) / (draws + 1))
            # The value that the statistic has to exceed for p <= 1 - level, by the same count.
            allowed = int((1 - self._level) * (draws + 1) + 1e-9) - 1
            limits = -np.partition(-greatest, allowed, axis=0)[allowed]
            joint = float(limits[0])
            limits = np.broadcast_to(limits, stepped.shape).copy()
            refused = stepped > 1 - self._level
            if refused.any():  # what comes after the first pair that is not separated is not separated either
                begin = int(np.argmax(refused))
                limits[begin:] = limits[begin]
            p[self._order], critical[self._order] = stepped, limits
        return Compared(self.difference, self.error, p, critical, joint, self._level)


def _statistic(parts: Sequence[_Part], drawn: Sequence[Array]) -> Array:
    """Return the statistics of the pairs in every draw, (draws, pairs)."""
    moves = [part.drawn(counts) for part, counts in zip(parts, drawn, strict=True)]
    shift = _summed(part.weight * moved for part, (moved, _) in zip(parts, moves, strict=True))
    variance = _summed(part.weight**2 * spread for part, (_, spread) in zip(parts, moves, strict=True))
    return np.asarray(np.abs(shift) / np.maximum(np.sqrt(variance), _FLOOR))


class _Part:
    """The differences of a family's pairs in one stratum, and what a draw of its scenes makes of them."""

    def __init__(self, stratum: Stratum, pairs: Pairs) -> None:
        first, second = pairs[:, 0], pairs[:, 1]
        self.weight = stratum.weight
        self._counts = stratum.counts
        sums = (stratum.sums[first] - stratum.sums[second]).T  # (scenes, pairs)
        images, scenes = stratum.counts.sum(), len(stratum.scenes)
        self.difference: Array = sums.sum(axis=0) / images
        # Centred, a draw's mean is the difference of means itself, and nothing cancels in the squares.
        self._centred = sums - stratum.counts[:, None] * self.difference
        self._scale = np.sqrt(scenes / (scenes - 1))
        self.error: Array = self._scale * np.sqrt(np.square(self._centred).sum(axis=0)) / images
        self.constant = ties.chance_of_no_spread(sums / stratum.counts[:, None])
        self._squares = np.square(self._centred)
        self._products = self._centred * stratum.counts[:, None]

    def drawn(self, times: Array) -> tuple[Array, Array]:
        """Return how far each draw moves the mean and its squared standard error there, (draws, pairs) each."""
        images = (times @ self._counts)[:, None]
        moved = (times @ self._centred) / images
        squares = times @ self._squares - 2 * moved * (times @ self._products)
        squares += np.square(moved) * (times @ np.square(self._counts))[:, None]
        return moved, np.square(self._scale / images) * np.maximum(squares, 0)


def _summed(arrays: Iterator[Array]) -> Array:
    return np.asarray(np.sum(list(arrays), axis=0))
