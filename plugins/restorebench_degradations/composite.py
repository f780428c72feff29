"""Composites: several degradations on one image, each with its own generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from restorebench import TEN_NAMES, Degraded
from restorebench.toolbox import seeding
from restorebench.toolbox.options import loaded
from restorebench_degradations import options
from restorebench_degradations.fields import Array

if TYPE_CHECKING:
    from restorebench import DataRequest, Degradation, DegradationInfo, Image, Runtime

CDD_ORDER = ("low-light", "rainy", "snowy", "hazy")
"""Order of the generator of CDD-11 (Guo et al., OneRestore, ECCV 2024): the veil lies over the particles."""


def in_order(cards: list[DegradationInfo], order: str) -> list[DegradationInfo]:
    """Sort cards by stage, or in the order of CDD-11 with all others last; ties in the order of the tables."""

    def canonical(card: DegradationInfo) -> tuple[int, int, str]:
        known = TEN_NAMES.index(card.name) if card.name in TEN_NAMES else len(TEN_NAMES)
        return (card.stage, known, card.name)

    def cdd(card: DegradationInfo) -> tuple[int, tuple[int, int, str]]:
        position = CDD_ORDER.index(card.name) if card.name in CDD_ORDER else len(CDD_ORDER)
        return (position, canonical(card))

    return sorted(cards, key=cdd if order == "cdd" else canonical)


class Composite:
    """Several degradations, applied one after the other."""

    def __init__(self, options: options.Composite, runtime: Runtime | DataRequest) -> None:
        given = {part.name: part.options for part in options.parts}
        cards = in_order([runtime.find("degradation", name) for name in given], options.order)
        self.order = options.order
        self.parts: list[tuple[str, Degradation]] = [
            (card.name, loaded(card, given[card.name], runtime)) for card in cards
        ]

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Degrade with every part at the same severity; maps are named `part/map`.

        Each part draws from its own generator, so that adding a part does not change what the others draw.
        """
        seed = int(rng.integers(2**63))
        image = clean
        parameters: dict[str, Any] = {"order": [name for name, _ in self.parts]}  # Any: each part has its own
        maps: dict[str, Array] = {}
        for name, part in self.parts:
            degraded = part.degrade(image, severity, seeding.generator(seed, name))
            image = degraded.image
            parameters[name] = dict(degraded.parameters)
            maps |= {f"{name}/{key}": values for key, values in degraded.maps.items()}
        return Degraded(image, parameters, maps)
