"""What a picture shows of one image: panels of one size, and the part where the outputs differ the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from restorebench.tables.board import Column

if TYPE_CHECKING:
    Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

LEAST_WINDOW, MOST_WINDOW = 16, 128
"""Sides in px of the enlarged part, which is a quarter of the image's shorter side between them."""


@dataclass(frozen=True)
class Panel:
    """One image of a picture, with the name of its row, or `input` or `clean`.

    score: with its unit, or "". pixels: (H, W, 3).
    """

    name: str
    score: str
    pixels: Pixels


@dataclass(frozen=True)
class Window:
    """A part of an image, in px."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: Pixels) -> Pixels:
        """Cut this part out of (H, W, 3)."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Shown:
    """What rows made of one image.

    title: names the image and its dataset. column: that of the scores. panels: the input, a panel for each row,
    and the clean image where there is one; all of one size. window: where the outputs differ the most, None if
    they are equal. notes: what a reader must know beside. where: what is special in the window. top, left: of the
    panels in the whole image, in px.
    """

    title: str
    column: Column
    panels: tuple[Panel, ...]
    window: Window | None
    notes: tuple[str, ...] = ()
    where: str = "the outputs differ the most"
    top: int = 0
    left: int = 0


def most_different(images: Sequence[Pixels]) -> Window | None:
    """Return the square in which images of one size differ the most, by the sum of squares; None if nowhere."""
    lowest = highest = images[0]
    for image in images[1:]:
        lowest, highest = np.minimum(lowest, image), np.maximum(highest, image)
    between = highest - lowest  # still 8 bits: an image of 100 megapixels has to fit into memory
    height, width = between.shape[:2]
    spread = np.zeros((height, width), dtype=np.int64)
    for channel in range(between.shape[2]):
        spread += between[:, :, channel].astype(np.int64) ** 2
    if not spread.any():
        return None
    side = min(height, width, max(LEAST_WINDOW, min(min(height, width) // 4, MOST_WINDOW)))
    total = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # of all above and left
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return Window(int(top), int(left), side, side)


def cut(shown: Shown, longest: int) -> Shown:
    """Cut images with a side of more than `longest` px to the part around the window, or around their centre."""
    height, width = shown.panels[0].pixels.shape[:2]
    if max(height, width) <= longest:
        return shown
    inner = shown.window or Window(height // 2, width // 2, 0, 0)
    sides = min(height, longest), min(width, longest)
    top = min(max(inner.top + inner.height // 2 - sides[0] // 2, 0), height - sides[0])
    left = min(max(inner.left + inner.width // 2 - sides[1] // 2, 0), width - sides[1])
    part = Window(top, left, *sides)
    moved = shown.window and replace(shown.window, top=inner.top - top, left=inner.left - left)
    note = f"a part of {width} x {height} px is shown: {sides[1]} x {sides[0]} px from x = {left}, y = {top}"
    panels = tuple(Panel(each.name, each.score, part.of(each.pixels)) for each in shown.panels)
    return replace(shown, panels=panels, window=moved, notes=(*shown.notes, note), top=top, left=left)


def explained(shown: Shown) -> list[str]:
    """Say what the scores are, what the window is, and what else there is to know; a sentence each."""
    column = shown.column
    unit = f" in {column.unit}" if column.unit else ""
    lines = [f"{column.name}{unit}, {'higher' if column.higher_is_better else 'lower'} is better"]
    if (window := shown.window) is not None:
        x, y = shown.left + window.left, shown.top + window.top
        lines.append(
            f"enlarged below: the {window.width} x {window.height} px at x = {x}, y = {y}, where {shown.where}"
        )
    return [*lines, *shown.notes]
