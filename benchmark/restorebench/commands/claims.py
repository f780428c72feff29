"""Numbers that a paper prints, and the conventions that give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from restorebench.commands.conventions import Convention
from restorebench.contract.errors import RestorebenchError

NEIGHBOURHOOD = 100
"""The numbers that would match by chance are counted in an interval that is wider by this factor."""


@dataclass(frozen=True)
class Number:
    """A number that a paper prints. low, high: the values that are rounded to it."""

    text: str
    value: float
    low: float
    high: float

    def within(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9

    def distance(self, value: float) -> float:
        return abs(value - self.value)


def read_numbers(text: str) -> tuple[Number, ...]:
    """Read one number, or several that belong together as in `31.24/0.912`; each is as exact as its decimals.

    Raises:
        RestorebenchError: a part is not a decimal number.
    """
    if not isinstance(text, str):
        raise RestorebenchError(
            f"{text!r} is not text; give a number as the paper prints it, with all its decimals"
        )
    return tuple(_number(part.strip()) for part in text.split("/"))


def _number(text: str) -> Number:
    if not re.fullmatch(r"[+-]?[0-9]{1,6}(\.[0-9]{1,12})?", text):
        raise RestorebenchError(
            f"{text!r} is not a number as papers print it; give for example 31.24, or 31.24/0.912 for two metrics"
        )
    exponent = Decimal(text).as_tuple().exponent
    assert isinstance(exponent, int)  # a plain number, not NaN or infinite
    value, half = float(text), 0.5 * 10.0**exponent
    return Number(text, value, value - half, value + half)


@dataclass(frozen=True)
class Claim:
    """A number of a paper, and the conventions that give it.

    matches: within its rounding, the most plausible first. nearest: if there is none, the three nearest.
    tried: how many different numbers were compared. by_chance: how many of them would match, on average, a number
    of this size and exactness that has nothing to do with these images.
    """

    number: Number
    matches: tuple[Convention, ...]
    nearest: tuple[Convention, ...]
    tried: int
    by_chance: float


def explained(
    numbers: Sequence[Number], conventions: Sequence[Convention], concerned: Sequence[Iterable[str]]
) -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """Find the conventions that give each number, and the preparations of images that go with all numbers.

    The most usual come first; with several numbers, those whose preparation goes with all of them.
    concerned: for each number, the names of the metrics that it may be of.
    """
    pools = [[each for each in conventions if each.metric in set(names)] for names in concerned]
    found = [
        [each for each in pool if number.within(each.mean)] for number, pool in zip(numbers, pools, strict=True)
    ]
    keys = [dict.fromkeys(key for each in matches for key in each.keys) for matches in found]
    shared = [key for key in (keys[0] if keys else ()) if all(key in others for others in keys)]
    claims = tuple(
        _claim(number, pool, matches, frozenset(shared))
        for number, pool, matches in zip(numbers, pools, found, strict=True)
    )
    return claims, tuple(", ".join(key) for key in shared) if len(numbers) > 1 else ()


def _claim(
    number: Number, pool: Sequence[Convention], matches: Sequence[Convention], shared: frozenset[tuple[str, ...]]
) -> Claim:
    def order(each: Convention) -> tuple[bool, float, float]:
        return each.keys.isdisjoint(shared), each.rarity, number.distance(each.mean)

    nearest = sorted(pool, key=lambda each: number.distance(each.mean))[:3]
    reach = NEIGHBOURHOOD * (number.high - number.low) / 2
    different = {round(each.mean, 6) for each in pool}
    around = sum(number.distance(mean) <= reach for mean in different)
    by_chance = around / NEIGHBOURHOOD
    return Claim(
        number, tuple(sorted(matches, key=order)), () if matches else tuple(nearest), len(different), by_chance
    )
