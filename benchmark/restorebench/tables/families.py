"""Scores of methods on tasks -> families of comparable rows, compared; the same for a board and for any table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from restorebench.tables import bootstrap, groups, pairwise
from restorebench.tables.bootstrap import Array
from restorebench.tables.pairwise import Compared, PairedRows, Pairs, Stratum


@dataclass(frozen=True)
class Scores:
    """Scores of several rows on the images of one task.

    names: of the rows. scenes: (images,), the scene of each image. values: (rows, images), none missing.
    """

    names: tuple[str, ...]
    scenes: tuple[str, ...]
    values: Array

    @cached_property
    def by_scene(self) -> Stratum:
        """The scores summed by scene; the names of the scenes are sorted."""
        names, positions = np.unique(np.asarray(self.scenes, dtype=object).astype(str), return_inverse=True)
        counts = np.bincount(positions, minlength=len(names)).astype(float)
        sums = np.zeros((len(self.names), len(names)))
        np.add.at(sums.T, positions, self.values.T)
        return Stratum(tuple(map(str, names)), counts, sums)

    @cached_property
    def means(self) -> Array:
        """(rows,) means over images."""
        return np.asarray(self.values.mean(axis=1))


@dataclass(frozen=True)
class Contest:
    """Rows to compare with one error rate, on one task or on the average of several.

    tasks: the same rows in the same order in each; the unweighted mean of the task means is compared.
    reference: the name of a row; only the pairs with it are compared. None compares all pairs.
    """

    tasks: tuple[Scores, ...]
    higher_is_better: bool
    reference: str | None = None

    @cached_property
    def means(self) -> Array:
        """(rows,) means over tasks of the means over images."""
        return np.asarray(np.mean([task.means for task in self.tasks], axis=0))

    @property
    def fewest(self) -> int:
        """How many scenes the task with the fewest has."""
        return min(len(task.by_scene.scenes) for task in self.tasks)


@dataclass(frozen=True)
class Verdict:
    """What the comparison of a contest says.

    pairs: (pairs, 2), row numbers. compared: the figures of the pairs, or None where there are too few scenes.
    images, scenes: how many there are, in all tasks together. sd: (pairs,), of the differences image by image.
    win_rate: (pairs,), share of images on which the first row is better; a tie counts as half. Over several tasks
    these are means: of shares, and of variances.
    """

    contest: Contest
    pairs: Pairs
    compared: Compared | None
    images: int
    scenes: int
    sd: Array
    win_rate: Array

    @property
    def names(self) -> tuple[str, ...]:
        return self.contest.tasks[0].names

    @property
    def order(self) -> list[int]:
        """Row numbers, best mean first; equal means by name."""
        sign = -1 if self.contest.higher_is_better else 1
        means = self.contest.means
        return sorted(range(len(self.names)), key=lambda row: (sign * means[row], self.names[row]))

    @property
    def better(self) -> list[groups.Ordered]:
        """The separated pairs, the better row first."""
        if self.compared is None:
            return []
        sign = 1 if self.contest.higher_is_better else -1
        return [
            (int(first), int(second)) if sign * difference > 0 else (int(second), int(first))
            for (first, second), difference, separated in zip(
                self.pairs, self.compared.difference, self.compared.separated, strict=True
            )
            if separated
        ]

    def ranks(self) -> dict[str, tuple[int, int]]:
        """Return each row's lowest and highest possible rank, by name; empty where nothing was compared."""
        if self.compared is None:
            return {}
        return dict(zip(self.names, groups.rank_bounds(len(self.names), self.better), strict=True))

    @cached_property
    def best(self) -> frozenset[str]:
        """The rows that no row was shown to be better than; empty where nothing was compared."""
        return frozenset(name for name, (low, _) in self.ranks().items() if low == 1)

    @cached_property
    def second(self) -> frozenset[str]:
        """The rows that would be the best ones without those that are: only the best were shown to be better."""
        better = [(self.names[first], self.names[second]) for first, second in self.better]
        beaten = {loser for winner, loser in better if winner not in self.best}
        return frozenset(self.ranks()) - self.best - beaten

    def letters(self) -> dict[str, str]:
        """Return each row's letters, by name; empty where nothing was compared."""
        return {} if self.compared is None else self._letters

    @cached_property
    def _letters(self) -> dict[str, str]:
        found = groups.letters(self.order, self.better)
        return {self.names[row]: text for row, text in found.items()}


def verdicts(
    contests: Sequence[Contest], level: float = pairwise.LEVEL, draws: int = bootstrap.DRAWS
) -> list[Verdict]:
    """Compare the rows of every contest. Contests over the same scenes share one set of draws."""
    pairs = [_pairs(contest) for contest in contests]
    enough = [n for n, contest in enumerate(contests) if contest.fewest >= pairwise.MIN_SCENES and len(pairs[n])]
    families = [_paired_rows(contests[n].tasks, pairs[n]) for n in enough]
    compared = dict(zip(enough, pairwise.compare(families, level, draws), strict=True))
    return [_verdict(contest, pairs[n], compared.get(n)) for n, contest in enumerate(contests)]


def _pairs(contest: Contest) -> Pairs:
    names = contest.tasks[0].names
    if contest.reference is None:
        return pairwise.all_pairs(len(names))
    return pairwise.pairs_with(names.index(contest.reference), len(names))


def _paired_rows(tasks: Sequence[Scores], pairs: Pairs) -> PairedRows:
    """Put tasks that share scenes into one stratum, each other task into one of its own.

    A scene in several tasks is one photograph and is drawn for all of them at once: there its influence on the
    mean of the tasks stands for its scores.
    """
    together = _sharing(tasks)
    strata = tuple(group[0].by_scene if len(group) == 1 else _influences(group) for group in together)
    return PairedRows(strata, pairs, tuple(len(group) / len(tasks) for group in together))


def _sharing(tasks: Sequence[Scores]) -> list[list[Scores]]:
    """Group tasks that share scenes, directly or through other tasks."""
    found: list[tuple[set[str], list[Scores]]] = []
    for task in tasks:
        scenes, group = set(task.by_scene.scenes), [task]
        for other in [other for other in found if other[0] & scenes]:
            found.remove(other)
            scenes |= other[0]
            group = other[1] + group
        found.append((scenes, group))
    return [group for _, group in found]


def _influences(tasks: Sequence[Scores]) -> Stratum:
    """Return (rows, scenes) numbers whose mean is the mean of task means and whose spread is that of the scenes.

    Scene s moves the mean of a task by (sum_s - n_s mean) / N (Cochran, Sampling Techniques, 3rd ed., section 6).
    """
    names = sorted({name for task in tasks for name in task.by_scene.scenes})
    position = {name: number for number, name in enumerate(names)}
    moved = np.zeros((len(tasks[0].names), len(names)))
    for task in tasks:
        held = task.by_scene
        few = np.sqrt(len(held.scenes) / (len(held.scenes) - 1)) / np.sqrt(len(names) / (len(names) - 1))
        moves = few * (held.sums - held.counts * task.means[:, None]) / held.counts.sum()
        moved[:, [position[name] for name in held.scenes]] += moves / len(tasks)
    centre = np.mean([task.means for task in tasks], axis=0)
    return Stratum(tuple(names), np.ones(len(names)), np.asarray(centre[:, None] + len(names) * moved))


def _verdict(contest: Contest, pairs: Pairs, compared: Compared | None) -> Verdict:
    tasks, first, second = contest.tasks, pairs[:, 0], pairs[:, 1]
    differences = [task.values[first] - task.values[second] for task in tasks]
    sign = 1 if contest.higher_is_better else -1
    wins = [(sign * each > 0).mean(axis=1) + (each == 0).mean(axis=1) / 2 for each in differences]
    variances = [
        each.var(axis=1, ddof=1) if each.shape[1] > 1 else np.full(len(pairs), np.nan) for each in differences
    ]
    return Verdict(
        contest=contest,
        pairs=pairs,
        compared=compared,
        images=sum(each.shape[1] for each in differences),
        scenes=len({name for task in tasks for name in task.by_scene.scenes}),
        sd=np.sqrt(np.mean(variances, axis=0)),
        win_rate=np.asarray(np.mean(wins, axis=0)),
    )
