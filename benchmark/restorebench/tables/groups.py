"""Ranks and letters that say no more than the separated pairs of a comparison support. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Ordered = tuple[int, int]
"""Two rows: the better one first."""


def rank_bounds(rows: int, better: Iterable[Ordered]) -> list[tuple[int, int]]:
    """Return the lowest and the highest rank that each row can have.

    better: the separated pairs. The lowest rank is one more than the number of rows that are better; the highest
    is the number of rows less those that are worse.
    """
    above, below = [0] * rows, [0] * rows
    for winner, loser in better:
        above[loser] += 1
        below[winner] += 1
    return [(1 + above[row], rows - below[row]) for row in range(rows)]


def letters(order: Sequence[int], better: Iterable[Ordered]) -> dict[int, str]:
    """Give every row its letters: two rows share a letter exactly where they are not separated.

    This is the compact letter display, built by inserting the separated pairs one after the other and absorbing
    the groups that others contain (Piepho, "An algorithm for a letter-based representation of all-pairwise
    comparisons", 2004). A row that is tied with several groups has several letters, in the order of the groups.

    order: the rows, best first; letters go to groups in this order.
    """
    groups: list[frozenset[int]] = [frozenset(order)]
    for winner, loser in sorted(better):
        split = [
            part
            for group in groups
            for part in ((group - {winner}, group - {loser}) if {winner, loser} <= group else (group,))
        ]
        groups = _absorbed(split)
    position = {row: number for number, row in enumerate(order)}
    groups.sort(key=lambda group: sorted(position[row] for row in group))
    return {row: "".join(_letter(n) for n, group in enumerate(groups) if row in group) for row in order}


def _absorbed(groups: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Leave out every group that another contains."""
    kept: list[frozenset[int]] = []
    for group in sorted(set(groups), key=lambda group: (-len(group), sorted(group))):
        if not any(group <= other for other in kept):
            kept.append(group)
    return kept


def _letter(number: int) -> str:
    """Return `a` to `z`, then `(27)` and so on."""
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
