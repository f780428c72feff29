"""How all figures look: colours, sizes, text that fits, legends and pages."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.toolbox.cells import visible
from restorebench_reports.figures.options import PADDING

Spec = dict[str, Any]  # a part of a Vega-Lite specification

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
TITLE, TEXT, SMALL = 11.5, 9.5, 8.5
"""Sizes of text in pixels of 1/96 inch: 8.6, 7.1 and 6.4 points in print."""
LINE = 1.3
"""The distance of two lines of text, in their size."""
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK, SOFT, FAINT = "#1a1a1a", "#595959", "#d0d0d0"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31")
"""Six of the eight of Okabe and Ito, which colour-blind people can tell apart, a violet and a brown. Shapes differ
too."""
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
_CONFIG: Spec = {
    "font": FONT,
    "axis": {
        "labelFontSize": SMALL,
        "titleFontSize": TEXT,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": "#e8e8e8",
        "domainColor": "#888888",
        "tickColor": "#888888",
        "tickSize": 3,
        "labelLimit": 0,
        "titleLimit": 0,
    },
    "text": {"fontSize": SMALL, "color": INK, "limit": 0},
    "view": {"stroke": "#bbbbbb"},
    "concat": {"spacing": 8},
}
_NARROW, _WIDE = frozenset("ijl|'.,:;!()[]{}/\\ tfrI-`\""), frozenset("mwMW@%—")


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text in pixels, from above: there is no font here to measure it with."""
    ems = 0.0
    for each in text:
        if unicodedata.east_asian_width(each) in "WF":
            ems += 1.05
        else:
            ems += 0.36 if each in _NARROW else 0.95 if each in _WIDE else 0.70 if each.isupper() else 0.58
    return ems * size


def shortened(text: str, size: float, most: float) -> str:
    """Return a name in one visible line of at most so many pixels; its middle is left out where it is too long."""
    flat = visible(" ".join(text.split()))
    if text_width(flat, size) <= most:
        return flat
    kept = len(flat) - 1
    while kept > 1 and text_width(_cut(flat, kept), size) > most:
        kept -= 1
    return _cut(flat, kept)


def _cut(text: str, kept: int) -> str:
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def wrapped(text: str, size: float, most: float) -> list[str]:
    """Break a text at its spaces into visible lines of at most so many pixels."""
    lines = [""]
    for word in text.split():
        word = shortened(word, size, most)
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) <= most:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line]


def page(body: Spec, title: str, notes: Sequence[str], width: float) -> Spec:
    """Put a title and notes above a figure. width: of the whole figure, in pixels."""
    lines = [line for note in notes for line in wrapped(note, SMALL, width)]
    return {
        "$schema": SCHEMA,
        "description": visible(" ".join([title + ".", *notes])),
        "title": {
            "text": wrapped(title, TITLE * 1.05, width),  # bold letters are wider
            "subtitle": lines,
            "anchor": "start",
            "frame": "bounds",
            "fontSize": TITLE,
            "subtitleFontSize": SMALL,
            "lineHeight": TITLE * LINE,
            "subtitleLineHeight": SMALL * LINE,
            "subtitleColor": SOFT,
            "subtitlePadding": 4,
            "color": INK,
            "offset": 8,
        },
        "background": "white",
        "padding": PADDING,
        "config": _CONFIG,
        **body,
    }


@dataclass(frozen=True)
class Key:
    """One entry of a legend. line: whether its mark stands on a line."""

    text: str
    colour: str
    shape: str = "circle"
    filled: bool = True
    line: bool = False


def mark_of(number: int) -> tuple[str, str]:
    """Return the colour and the shape of row `number`; the first 64 differ."""
    return COLOURS[number % 8], SHAPES[(number + number // 8) % 8]


def plane(width: float, height: float) -> tuple[Spec, Spec]:
    """Return the encodings of x and y for positions in pixels, from the upper left corner of a view."""
    return (
        {"field": "x", "type": "quantitative", "scale": {"domain": [0, width], "nice": False}, "axis": None},
        {"field": "y", "type": "quantitative", "scale": {"domain": [height, 0], "nice": False}, "axis": None},
    )


def legend(keys: Sequence[Key], width: float) -> Spec:
    """Draw a legend of as many lines as it needs; entries stand below each other in columns."""
    shown = [shortened(key.text, TEXT, width - 24) for key in keys]
    cell = min(max((text_width(text, TEXT) for text in shown), default=0) + 30, width)
    across = max(int(width // cell), 1)
    step = TEXT * 1.5
    height = step * -(-len(keys) // across)
    rows = [
        {
            "x": 10 + cell * (n % across),
            "y": step * (n // across + 0.5),
            "left": cell * (n % across) + 1,
            "right": cell * (n % across) + 19,
            "at": 24 + cell * (n % across),
            "text": text,
            "colour": key.colour,
            "fill": key.colour if key.filled else "white",
            "shape": key.shape,
        }
        for n, (key, text) in enumerate(zip(keys, shown, strict=True))
    ]
    lined = [row for row, key in zip(rows, keys, strict=True) if key.line]
    x, y = plane(width, height)
    line = {"x": x | {"field": "left"}, "x2": {"field": "right"}, "y": y, "color": literal("colour")}
    text = {"x": x | {"field": "at"}, "y": y, "text": {"field": "text", "type": "nominal"}}
    return {
        "width": width,
        "height": height,
        "view": {"stroke": None},
        "layer": [
            {"data": {"values": lined}, "mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": line},
            {
                "data": {"values": rows},
                "mark": {"type": "point", "size": 36, "opacity": 1},
                "encoding": {"x": x, "y": y, **marked()},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": TEXT},
                "encoding": text,
            },
        ],
    }


def literal(field: str) -> Spec:
    """Encode by a field that holds the colour or shape itself; names of rows never become a scale."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def marked() -> Spec:
    """Return the encodings of a point whose data hold `colour`, `fill` and `shape`."""
    return {"stroke": literal("colour"), "fill": literal("fill"), "shape": literal("shape")}


def tooltip(*names: str) -> list[Spec]:
    """Return a tooltip of fields. Names of rows stand in the data: Vega-Lite would make code of its titles."""
    return [{"field": name, "type": "nominal"} for name in names]


def named(field: str, names: Sequence[str], most: float, **axis: Any) -> Spec:
    """Encode by a field that holds the numbers of names; the axis shows the names in at most so many pixels.

    The names themselves are no scale: two long ones that look alike when shortened stay two.
    """
    shown = [shortened(name, SMALL, most) for name in names]
    return {
        "field": field,
        "type": "ordinal",
        "scale": {"domain": list(range(len(names))), "padding": 0},
        "axis": {"title": None, "grid": False, "labelExpr": f"{json.dumps(shown)}[datum.value]", **axis},
    }


def panel_title(text: str, width: float) -> Spec:
    """Return a layer with the title of one panel; a real title would stand higher where tick labels stand out."""
    return {
        "data": {"values": [{"title": shortened(text, TEXT * 1.05, width)}]},
        "mark": {
            "type": "text",
            "x": 0,
            "y": -TEXT / 2 - 3,
            "align": "left",
            "baseline": "middle",
            "fontSize": TEXT,
            "fontWeight": "bold",
            "clip": False,  # where marks are clipped to be zoomed, the title is not
        },
        "encoding": {"text": {"field": "title", "type": "nominal"}},
    }


def number(value: float) -> float:
    """Round a value for the data of a figure, to six significant digits more than are drawn."""
    return round(float(value), 6)
