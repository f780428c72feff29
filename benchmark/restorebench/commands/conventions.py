"""Averages of scores over images under many conventions, and which of these are one on the images at hand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from restorebench.contract.cards import MetricInfo, Variant
from restorebench.tables.scored import CAP

SAME = 1e-6
"""Conventions whose averages differ by at most this are one on these images; single precision is no more exact."""


@dataclass(frozen=True)
class Convention:
    """A way to arrive at one number for a folder, and that number.

    preparation, formula: what departs from the protocol, in words; a protocol itself has neither. rarity: as in
    `Variant`, small for what is usual. mean: the number. difference: from the first protocol of the metric. also:
    names of other conventions that give the same number on these images. keys: tell whether two metrics were
    computed from images that were prepared alike.
    """

    metric: str
    protocol: str
    preparation: tuple[str, ...]
    formula: tuple[str, ...]
    rarity: float
    mean: float
    unit: str = ""
    difference: float = 0.0
    also: tuple[str, ...] = ()
    keys: frozenset[tuple[str, ...]] = frozenset()

    @property
    def departures(self) -> tuple[str, ...]:
        return self.preparation + self.formula

    @property
    def name(self) -> str:
        """The convention in words, such as `psnr@y, 4 px border`."""
        return ", ".join((f"{self.metric}@{self.protocol}", *self.departures))


# ---------------------------------------------------------------- averages


@dataclass
class Tally:
    """Sums over images of one score. In dB, equal images are counted apart, and squared errors are summed too."""

    images: int = 0
    total: float = 0.0
    equal: int = 0
    pixels: int = 0
    error: float = 0.0
    error_of_pixels: float = 0.0

    def add(self, value: float, pixels: int, in_decibels: bool) -> None:
        """Add the score of an image."""
        self.images += 1
        self.pixels += pixels
        if in_decibels and math.isinf(value):
            self.equal += 1
            return
        self.total += value
        if in_decibels:
            error = 10 ** (-value / 10)
            self.error += error
            self.error_of_pixels += pixels * error

    def joined(self, other: Tally) -> Tally:
        """Return the sums of two disjoint sets of images."""
        mine, others = vars(self), vars(other)
        return Tally(**{name: mine[name] + others[name] for name in mine})


POOLED, POOLED_EQUALLY = "squared errors pooled over all pixels", "squared errors averaged over the images"


def _averages(tally: Tally, in_decibels: bool) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Yield (departures, rarity, number) for each way to average."""
    finite = tally.images - tally.equal
    if not in_decibels:
        yield (), 0.0, tally.total / tally.images
        return
    yield (), 0.0, (tally.total + CAP * tally.equal) / tally.images
    if tally.equal:
        yield ("equal images count 80 dB",), 0.75, (tally.total + 80 * tally.equal) / tally.images
        if finite:
            yield ("equal images left out",), 1.0, tally.total / finite
    if tally.error > 0:
        yield (POOLED,), 0.75, -10 * math.log10(tally.error_of_pixels / tally.pixels)
        yield (POOLED_EQUALLY,), 1.0, -10 * math.log10(tally.error / tally.images)


@dataclass
class Tallies:
    """The sums of all conventions, apart for each way to fit images of different sizes.

    A pair of one size needs no fit, and counts for each of them.
    """

    cards: Mapping[str, MetricInfo]
    _by_fit: dict[str, dict[tuple[str, Variant], Tally]] = field(default_factory=dict)
    _images: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, fit: str, scores: Mapping[tuple[str, Variant], float], pixels: int) -> None:
        """Add the scores of one pair. fit: how its images were given one size; "" if they had it."""
        self._images[fit] += 1
        tallies = self._by_fit.setdefault(fit, {})
        for key, value in scores.items():
            if not math.isnan(value):
                tally = tallies.setdefault(key, Tally())
                tally.add(value, pixels, self.cards[key[0]].unit == "dB")

    @property
    def unequal(self) -> int:
        """How many pairs did not have one size."""
        return max((images for fit, images in self._images.items() if fit), default=0)

    def left_out(self) -> list[str]:
        """Name the protocols under which an image could not be scored, because it is too small."""
        images = self._images[""] + self.unequal
        complete = {
            (metric, variant.protocol)
            for fit, tallies in self._by_fit.items()
            for (metric, variant), tally in (tallies if not fit else self._whole(fit)).items()
            if not variant.preparation + variant.formula and tally.images == images
        }
        every = [(name, protocol.name) for name, card in self.cards.items() for protocol in card.protocols]
        return [f"{metric}@{protocol}" for metric, protocol in every if (metric, protocol) not in complete]

    def conventions(self, rarest: Mapping[str, float]) -> tuple[Convention, ...]:
        """Return every convention that all images have, the usual ones of each metric first.

        rarest: the largest rarity, by metric.
        """
        found = []
        for fit in [fit for fit in self._by_fit if fit] or [""]:
            images = self._images[fit] + (self._images[""] if fit else 0)
            found += [e for e in self._of(fit, self._whole(fit), images) if e.rarity <= rarest[e.metric]]
        order = list(self.cards)
        return tuple(sorted(found, key=lambda each: (order.index(each.metric), each.rarity)))

    def _whole(self, fit: str) -> Mapping[tuple[str, Variant], Tally]:
        """Return the tallies of a fit, with the pairs that needed none."""
        alike = self._by_fit.get("", {}) if fit else {}
        return _joined(alike, self._by_fit[fit]) if alike else self._by_fit[fit]

    def _of(self, fit: str, tallies: Mapping[tuple[str, Variant], Tally], images: int) -> Iterator[Convention]:
        for (metric, variant), tally in tallies.items():
            if tally.images < images:
                continue  # an image is too small for it
            preparation = ((fit,) if fit else ()) + variant.preparation
            for more, rarity, mean in _averages(tally, self.cards[metric].unit == "dB"):
                yield Convention(
                    metric,
                    variant.protocol,
                    preparation,
                    variant.formula + more,
                    variant.rarity + rarity,
                    mean,
                    self.cards[metric].unit,
                    keys=frozenset({(variant.protocol, *preparation)}),
                )


def _joined(
    alike: Mapping[tuple[str, Variant], Tally], fitted: Mapping[tuple[str, Variant], Tally]
) -> dict[tuple[str, Variant], Tally]:
    """Add the pairs that needed no fit to those that did. A fit changes the rarity of a variant, nothing else."""
    known = {(metric, v.protocol, v.preparation, v.formula): tally for (metric, v), tally in alike.items()}
    found = {}
    for (metric, v), tally in fitted.items():
        other = known.get((metric, v.protocol, v.preparation, v.formula))
        if other is not None:
            found[metric, v] = tally.joined(other)
    return found


# ---------------------------------------------------------------- the same number twice


def grouped(conventions: Sequence[Convention]) -> tuple[Convention, ...]:
    """Merge the conventions of a metric that are one on these images, and take the difference from its first.

    conventions: in the order of `Tallies.conventions`. A group has the name of its most usual member. The others
    are in `also`, unless one of their departures changes nothing. Every protocol has an entry of its own.
    """
    by_metric: dict[str, list[Convention]] = defaultdict(list)
    for each in conventions:
        by_metric[each.metric].append(each)
    return tuple(
        merged
        for several in by_metric.values()
        for merged in sorted(_grouped(several), key=lambda each: each.rarity)
    )


def _grouped(conventions: Sequence[Convention]) -> Iterator[Convention]:
    standard = conventions[0].mean
    groups: list[list[int]] = []
    for place in sorted(range(len(conventions)), key=lambda place: conventions[place].mean):
        if groups and abs(conventions[place].mean - conventions[groups[-1][-1]].mean) <= SAME:
            groups[-1].append(place)
        else:
            groups.append([place])
    for places in sorted(map(sorted, groups)):
        group = [conventions[place] for place in places]
        kept = [each for each in group if not any(_adds_nothing(each, other) for other in group)]
        keys = frozenset(key for each in kept for key in each.keys)
        protocols = [each for each in kept if not each.departures]
        for first in protocols or kept[:1]:
            names = tuple(each.name for each in kept if each is not first and each not in protocols)
            yield replace(first, difference=first.mean - standard, also=names, keys=keys)


def _adds_nothing(one: Convention, other: Convention) -> bool:
    """Tell whether a convention is another one of its group and a departure that changes nothing."""
    if not one.departures:
        return False
    return one.protocol == other.protocol and set(other.departures) < set(one.departures)
