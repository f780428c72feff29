"""Fit a table of numbers into the width of a terminal: turned, abbreviated or in parts, but never cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from restorebench.toolbox.cells import visible


@dataclass(frozen=True)
class Grid:
    """A table with a name for each row and each column. corner: what the rows are."""

    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def turned(self) -> Grid:
        """The same table with rows for columns."""
        cells = tuple(zip(*self.cells, strict=True)) if self.cells else ((),) * len(self.columns)
        return Grid("", self.columns, self.rows, cells)


def fitted(grid: Grid, width: int | None) -> str:
    """Lay a table out in at most `width` characters; None: as wide as it becomes.

    Tried in this order: as it is, turned, with letters for the names of the columns and a legend, and the last
    with its columns in several parts.
    """
    if width is None:
        return _text(grid)
    for candidate in (grid, grid.turned):
        if _width(text := _text(candidate)) <= width:
            return text
    letters = tuple(_letters(number) for number in range(len(grid.columns)))
    legend = "\n".join(f"{letter} = {visible(name)}" for letter, name in zip(letters, grid.columns, strict=True))
    short = Grid(grid.corner, grid.rows, letters, grid.cells)
    parts = len(grid.columns)
    while parts > 1 and max(_width(_text(part)) for part in _split(short, parts)) > width:
        parts -= 1
    return "\n\n".join([*(_text(part) for part in _split(short, parts)), legend])


def _split(grid: Grid, columns: int) -> list[Grid]:
    """Cut a table into tables of at most so many columns."""
    return [
        Grid(
            grid.corner,
            grid.rows,
            grid.columns[start : start + columns],
            tuple(row[start : start + columns] for row in grid.cells),
        )
        for start in range(0, max(len(grid.columns), 1), columns)
    ]


def _text(grid: Grid) -> str:
    rows = [[visible(name), *map(visible, cells)] for name, cells in zip(grid.rows, grid.cells, strict=True)]
    headers = [grid.corner, *map(visible, grid.columns)]
    align = ("left", *("right",) * len(grid.columns))
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align if rows else None)


def _width(text: str) -> int:
    return max(map(len, text.splitlines()))


def _letters(number: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def paragraphs(lines: Sequence[str], width: int | None) -> str:
    """Wrap lines of text at a width; what follows the first line of each is indented."""
    import textwrap

    if width is None:
        return "\n".join(lines)
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False) for line in lines)
