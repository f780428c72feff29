"""Compare rows that scored the same images, pair by pair, with one error rate for all pairs of a family.

The procedure is the studentised bootstrap of the greatest statistic, stepping down (Romano and Wolf, "Exact and
approximate stepdown methods for multiple hypothesis testing", 2005). Scenes are the independent units and are
drawn with replacement. Pure functions on arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from restorebench.tables import bootstrap, ties
from restorebench.tables.bootstrap import Array

MIN_SCENES = 6
"""Below this many scenes nothing is compared."""
LEVEL = 0.95
MOST_SCENES_NEEDED = 10_000
_POWER = 0.8  # the chance with which `scenes_needed` scenes would separate a pair
_MOST_STEPS = 435  # pairs of 30 rows
_FLOOR = 1e-12  # of a drawn standard error: a draw of one scene alone has none
_NUMBERS = 5_000_000  # held at a time for draws and what they move: 40 MB

Pairs = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Stratum:
    """Scenes that are drawn together, from one task or from several that share photographs.

    scenes: their names. counts: (scenes,) images of each. sums: (rows, scenes), a row's scores summed over the
    images of a scene. Work on an object that several families hold is done once; it is told by its identity.
    """

    scenes: tuple[str, ...]
    counts: Array
    sums: Array


@dataclass(frozen=True)
class PairedRows:
    """Rows that are compared with one error rate.

    pairs: (pairs, 2), numbers of the rows compared. weights: the share of each stratum's mean in the mean that is
    compared.
    """

    strata: tuple[Stratum, ...]
    pairs: Pairs
    weights: tuple[float, ...] = (1.0,)

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


def compare(families: Sequence[PairedRows], level: float = LEVEL, draws: int = bootstrap.DRAWS) -> list[Compared]:
    """Compare the pairs of every family. Strata over the same scenes share one set of draws.

    The draws depend on the names of the scenes alone: neither the order of rows or scenes nor the number of images
    of a scene changes them.

    Raises:
        ValueError: a family has fewer than six scenes, or so few draws cannot show anything at this level.
    """
    if not 0 < level < 1 or (1 - level) * (draws + 1) < 1 - 1e-9:
        raise ValueError(
            f"{draws} draws at a level of {level}: the level is above 0 and below 1, and needs more draws"
        )
    if few := [family.scenes for family in families if family.scenes < MIN_SCENES]:
        raise ValueError(f"a comparison needs at least {MIN_SCENES} scenes, not {few[0]}")
    wanted: dict[Stratum, set[tuple[int, int]]] = defaultdict(set)
    for family in families:
        for stratum in family.strata:
            wanted[stratum].update(_ascending(family.pairs))
    parts = {stratum: _Part(stratum, sorted(pairs)) for stratum, pairs in wanted.items()}
    tests = [_Test(family, parts, level, draws) for family in families]
    sets = dict.fromkeys(stratum.scenes for stratum in parts)
    wide = sum(map(len, sets)) + 2 * sum(len(part.difference) for part in parts.values())
    for drawn in bootstrap.in_portions(sets, draws, max(_NUMBERS // max(wide, 1), 1)):
        moves = {stratum: part.drawn(drawn[stratum.scenes]) for stratum, part in parts.items()}
        for test in tests:
            test.add(moves)
    return [test.outcome() for test in tests]


def _ascending(pairs: Pairs) -> list[tuple[int, int]]:
    """Return the pairs with the smaller row number first."""
    return list(zip(pairs.min(axis=1).tolist(), pairs.max(axis=1).tolist(), strict=True))


class _Test:
    """One family while its draws come in.

    Up to _MOST_STEPS pairs step down. For more, the greatest statistic of all pairs is used for each: it is
    stricter.
    """

    def __init__(self, family: PairedRows, parts: Mapping[Stratum, _Part], level: float, draws: int) -> None:
        self._level, self._draws = level, draws
        self._stepping = len(family.pairs) <= _MOST_STEPS
        # A part may hold more pairs, for other families: which of them are those of this one.
        self._chosen = [
            (s, parts[s].columns(family.pairs), w) for s, w in zip(family.strata, family.weights, strict=True)
        ]
        turned = np.where(family.pairs[:, 0] <= family.pairs[:, 1], 1, -1)
        self.difference = turned * self._summed(1, {s: parts[s].difference for s in family.strata})
        self.error = np.sqrt(self._summed(2, {s: np.square(parts[s].error) for s in family.strata}))
        self._statistic = np.abs(self.difference) / np.maximum(self.error, _FLOOR)
        missing = np.prod([parts[s].constant[columns] for s, columns, _ in self._chosen], axis=0)
        untested = ties.untested(missing, level)
        order = np.argsort(np.where(untested, -1.0, -self._statistic), kind="stable")
        self._order = order[~untested[order]]
        # For p <= 1 - level, the statistic has to exceed the smallest of so many greatest ones.
        allowed = int((1 - level) * (draws + 1) + 1e-9)
        self._extremes = _Extremes(self._statistic[self._order], allowed)

    def _summed(self, power: int, arrays: Mapping[Stratum, Array]) -> Array:
        """Add up one array per stratum, (..., pairs), times its weight to a power."""
        return np.asarray(np.sum([w**power * arrays[s][..., columns] for s, columns, w in self._chosen], axis=0))

    def add(self, moves: Mapping[Stratum, tuple[Array, Array]]) -> None:
        """Note, for every step, the greatest statistic of the pairs that remain in it."""
        shift = self._summed(1, {s: moved for s, (moved, _) in moves.items()})
        variance = self._summed(2, {s: spread for s, (_, spread) in moves.items()})
        statistics = np.abs(shift) / np.maximum(np.sqrt(variance), _FLOOR)
        remaining = statistics[:, self._order[::-1]]
        if self._stepping:
            self._extremes.add(np.maximum.accumulate(remaining, axis=1)[:, ::-1])
        else:
            self._extremes.add(remaining.max(axis=1, keepdims=True, initial=0.0))

    def outcome(self) -> Compared:
        """Step down from the greatest statistic to the smallest."""
        p: Array = np.ones(len(self._statistic))
        critical: Array = np.full(len(p), np.nan)
        joint = np.nan
        if len(self._order):
            stepped = np.maximum.accumulate((1 + self._extremes.reached) / (self._draws + 1))
            limits = self._extremes.limits()
            joint = float(limits[0])
            limits = np.broadcast_to(limits, stepped.shape).copy()
            refused = stepped > 1 - self._level
            if refused.any():  # what comes after the first pair that is not separated is not separated either
                begin = int(np.argmax(refused))
                limits[begin:] = limits[begin]
            p[self._order], critical[self._order] = stepped, limits
        return Compared(self.difference, self.error, p, critical, joint, self._level)


class _Extremes:
    """How often the greatest statistics of all draws reached those observed, and the largest of them."""

    def __init__(self, statistic: Array, kept: int) -> None:
        self.reached = np.zeros(len(statistic))
        self._statistic, self._kept = statistic, kept
        self._held: list[Array] = []

    def add(self, greatest: Array) -> None:
        """Note some draws: (draws, steps), or (draws, 1) if all steps have the same."""
        self.reached += (greatest >= self._statistic).sum(axis=0)
        self._held.append(greatest)
        if sum(map(len, self._held)) > 3 * self._kept:
            self._held = [self._largest()]

    def limits(self) -> Array:
        """Return the smallest of the largest that are kept, per step."""
        return np.asarray(self._largest().min(axis=0))

    def _largest(self) -> Array:
        every = np.concatenate(self._held)
        return np.partition(every, -min(self._kept, len(every)), axis=0)[-self._kept :]


class _Part:
    """The differences of pairs in one stratum, and what a draw of its scenes makes of them."""

    def __init__(self, stratum: Stratum, pairs: Sequence[tuple[int, int]]) -> None:
        self._columns = {pair: column for column, pair in enumerate(pairs)}
        self._first, self._second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self._counts = stratum.counts
        images, scenes = stratum.counts.sum(), len(stratum.scenes)
        means = stratum.sums.sum(axis=1) / images
        rows = (stratum.sums - stratum.counts * means[:, None]).T  # (scenes, rows)
        centred = rows[:, self._first] - rows[:, self._second]  # (scenes, pairs)
        self.difference: Array = means[self._first] - means[self._second]
        self._scale = np.sqrt(scenes / (scenes - 1))
        self.error: Array = self._scale * np.sqrt(np.square(centred).sum(axis=0)) / images
        differences = (stratum.sums[self._first] - stratum.sums[self._second]) / stratum.counts
        self.constant = ties.chance_of_no_spread(differences.T)
        # Of rows centred by their means, a draw's mean is how far it moves, and nothing cancels in the squares.
        self._rows = np.hstack([rows, rows * stratum.counts[:, None]])
        self._squares = np.square(centred)

    def columns(self, pairs: Pairs) -> Pairs:
        """Return where the pairs are among those of this part, (pairs,)."""
        return np.array([self._columns[pair] for pair in _ascending(pairs)], dtype=np.int64)

    def drawn(self, times: Array) -> tuple[Array, Array]:
        """Return how far each draw moves the mean and its squared standard error there, (draws, pairs) each."""
        images = (times @ self._counts)[:, None]
        rows = np.split(times @ self._rows, 2, axis=1)
        sums, products = (each[:, self._first] - each[:, self._second] for each in rows)
        moved = sums / images
        squares = times @ self._squares - 2 * moved * products
        squares += np.square(moved) * (times @ np.square(self._counts))[:, None]
        return moved, np.square(self._scale / images) * np.maximum(squares, 0)
