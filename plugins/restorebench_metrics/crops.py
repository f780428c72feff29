"""The parts of an image that published scripts score: without a border, or with sides of a certain multiple."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from restorebench_metrics.steps import Step, step

_Kept = tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """The part of an image that is scored, and the steps that lead to it, the least unusual first."""

    rows: slice
    columns: slice
    steps: tuple[Step, ...]


_BORDERS = {4: 0.75} | dict.fromkeys((2, 3, 8), 1.0) | dict.fromkeys((1, 6, 10), 1.25)
_BORDERS |= dict.fromkeys((5, 12, 16, 20, 32), 1.5)
_CENTRED = {16: 0.75, 8: 1.0, 4: 1.25, 32: 1.25, 64: 1.25}
_FROM_CORNER = {8: 1.25, 16: 1.25, 4: 1.25, 32: 1.25, 64: 1.25, 2: 1.5, 3: 1.5}
"""The rarity of each number of pixels; the smallest is for what many scripts do."""


def crops(height: int, width: int, rarest: float) -> list[Crop]:
    """List the parts of an image that scripts keep, each once; parts that would be empty are left out."""
    found: dict[tuple[int, int, int, int], list[Step]] = {}
    for cut, (top, bottom), (left, right) in _cuts(height, width):
        if cut.rarity <= rarest and top < bottom and left < right:
            found.setdefault((top, bottom, left, right), []).append(cut)
    return [
        Crop(slice(top, bottom), slice(left, right), tuple(sorted(steps, key=lambda each: each.rarity)))
        for (top, bottom, left, right), steps in found.items()
    ]


def _cuts(height: int, width: int) -> Iterator[tuple[Step, _Kept, _Kept]]:
    """Yield each step with the rows and the columns that it keeps: the first, and the one after the last."""
    yield Step(), (0, height), (0, width)
    for border, rarity in _BORDERS.items():
        yield step(f"{border} px border", rarity), (border, height - border), (border, width - border)
    for multiple, rarity in _CENTRED.items():
        kept = [(side % multiple // 2, side - side % multiple + side % multiple // 2) for side in (height, width)]
        yield step(f"centred multiple of {multiple}", rarity), kept[0], kept[1]
    for multiple, rarity in _FROM_CORNER.items():
        kept = [(0, side - side % multiple) for side in (height, width)]
        yield step(f"multiple of {multiple} from the corner", rarity), kept[0], kept[1]
    margins = [max(side - 256, 0) // 2 for side in (height, width)]
    kept = [(margin, margin + min(side, 256)) for margin, side in zip(margins, (height, width), strict=True)]
    yield step("centre of 256 x 256", 1.5), kept[0], kept[1]
