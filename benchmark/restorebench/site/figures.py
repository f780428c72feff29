"""The figures of a board, as SVG to put into a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

from restorebench.commands.plotting import figure_of, specification, svg
from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RestorebenchError
from restorebench.site.boards import SiteBoard
from restorebench.tables.leaderboard import AVERAGE

KINDS = {"radar": (150, 88), "gains": (224, 75), "severity": (224, 75), "cost": (150, 75), "confusion": (150, 75)}
"""The kinds on a board with their widths for a large and a small screen, in millimetres."""
RELIABILITY, RELIABILITY_WIDTHS = "reliability", (112, 75)
MOST_ROWS = 200
"""Of a board with more rows than these, a figure with a mark for each would be too large for a page."""
LARGER = 1.25
"""How much larger a page shows a figure than paper: its letters are laid out for print."""

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset(
    {"svg", "g", "rect", "path", "line", "circle", "ellipse", "polygon", "polyline", "text", "tspan", "title"}
    | {"defs", "clipPath", "linearGradient", "radialGradient", "stop"}
)
_DROPPED = re.compile(r"on.*|style|class|role|aria-.*|.*href|version")
_REFERENCE = re.compile(r"url\(['\"]?#([^)'\"]+)['\"]?\)")


@dataclass(frozen=True)
class Figure:
    """A figure of a board. drawn: the SVG by width; empty where it is not drawn, and note says why."""

    kind: str
    summary: str
    drawn: dict[str, Markup]
    note: str


def figures_of(board: SiteBoard, catalog: Catalog, rows: int, first: Sequence[str]) -> list[Figure]:
    """Draw every kind of figure that the board has something for.

    rows: how many rows its table has, over all tasks. first: the names to draw where not all fit.
    """
    if not can_draw():
        return []
    return [
        _figure(board, catalog, kind, widths, _choices(board, kind, rows, first), kind)
        for kind, widths in KINDS.items()
    ]


def reliability_of(board: SiteBoard, catalog: Catalog, detector: str, prefix: str) -> Figure | None:
    """Draw the reliability of a detector, by its label; None without the extra. prefix: as in `inline`."""
    if not can_draw():
        return None
    return _figure(board, catalog, RELIABILITY, RELIABILITY_WIDTHS, [({"rows": (detector,)}, "")], prefix)


def can_draw() -> bool:
    """Tell whether the extra that draws figures is installed."""
    return find_spec("vl_convert") is not None


def _figure(
    board: SiteBoard,
    catalog: Catalog,
    kind: str,
    widths: tuple[int, int],
    choices: Iterable[tuple[Mapping[str, Any], str]],
    prefix: str,
) -> Figure:
    """Draw a figure with the first options that it can be drawn with. widths: as in `KINDS`."""
    why, summary = "", ""
    for options, remark in choices:
        drawn: dict[str, Markup] = {}
        try:
            for name, width in zip(("wide", "narrow"), widths, strict=True):
                card, figure = figure_of(catalog, kind, {"width": width, **options})
                summary = f"{card.summary} {remark}".strip()
                spec = specification(card, figure, board.tables, board.title)
                drawn[name] = inline(svg(spec, card).decode(), f"{prefix}-{name}", summary)
            return Figure(kind, summary, drawn, "")
        except RestorebenchError as error:
            why = why or str(error).removeprefix(f"{board.title}: ")
    return Figure(kind, summary, {}, why)


def _choices(
    board: SiteBoard, kind: str, rows: int, first: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield options of a figure, and what to remark: all of the board, or else a part that can be read."""
    if kind == "gains" and rows > MOST_ROWS:
        yield {"task": AVERAGE}, f"On average over the tasks; `restorebench plot {kind} FOLDER` draws each."
    else:
        yield {}, ""
    names = {cell.name for cell in board.tables.board.cells}
    if kind in ("radar", "severity") and len(names) > len(first):
        yield {"rows": tuple(first)}, f"{len(first)} of {len(names)} rows, as on the front page."


def inline(picture: str, prefix: str, label: str) -> Markup:
    """Return an SVG as a part of a page: shapes and texts alone, with ids that no other picture has.

    label: what a screen reader says of it.

    Raises:
        RestorebenchError: it holds something else than shapes and texts.
    """
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        space, _, name = element.tag.rpartition("}")
        if space != f"{{{_SVG}" or name not in _ELEMENTS:
            raise RestorebenchError(f"the picture has an element {name!r}, which a page does not take")
        element.attrib = {
            key: _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
            for key, value in element.attrib.items()
            if not _DROPPED.fullmatch(key)
        }
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.get('id')}")
    for side in ("width", "height"):
        if side in root.attrib:
            root.set(side, f"{float(root.attrib[side]) * LARGER:.0f}")
    _drop_background(root)
    root.set("role", "img")
    root.set("aria-label", label)
    ElementTree.register_namespace("", _SVG)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drop_background(root: ElementTree.Element) -> None:
    """Remove the white ground, so that the page's own is seen."""
    first = next(iter(root), None)
    if first is not None and first.tag == f"{{{_SVG}}}rect" and first.get("fill") == "white":
        root.remove(first)
