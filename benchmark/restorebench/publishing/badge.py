"""A badge that says where a row stands, as an SVG image."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from restorebench.publishing.quoting import Line, Quoted
from restorebench.tables.comparisons import PROCEDURE
from restorebench.tables.leaderboard import AVERAGE
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

_LONGEST = 60  # characters of one half
_NARROW, _WIDE = "iljtfrI.,:;'!|()[] ", "mwMWABCDGHKNOQRSUVXY%&@"
_BEST, _OTHERS, _NONE = "#2a7f3f", "#33658a", "#6b6b6b"
"""Green for a row that no other was shown to be better than. White text has a contrast of over 4.5 to 1 on all."""


def badge(quoted: Quoted, row: str, task: str = AVERAGE, dataset: str | None = None) -> str:
    """Return the badge of a row: its group and its ranks on a task, by default on average.

    Raises:
        UnknownName: there is no such row or task, or several datasets have the task and none is named.
    """
    board = quoted.published.board
    line = quoted.line_of(row, task, dataset)
    left = f"{board.suite} {board.version}"
    if task != AVERAGE:
        left += f", {task}"
    right, colour = _standing(quoted, line)
    return _drawn(_short(left), _short(right), colour, f"{row}: {right} in {left}")


def _standing(quoted: Quoted, line: Line) -> tuple[str, str]:
    """Say where a line stands among those that it was compared with, and which colour says so."""
    if line["rank_low"] is None:
        return f"no rank: {_why_none(line)}", _NONE
    rivals = sum(
        other["rank_low"] is not None and all(other[key] == line[key] for key in ("task", "dataset", "family"))
        for other in quoted.lines
    )
    low, high = int(line["rank_low"]), int(line["rank_high"])
    ranks = f"{low}" if low == high else f"{low} to {high}"
    told = "" if line["family"] == "blind" else f", {line['family']} rows"
    return f"group {line['group']}, {ranks} of {rivals}{told}", _BEST if low == 1 else _OTHERS


def _why_none(line: Line) -> str:
    if line["n_scenes"] < PROCEDURE["fewest_scenes"]:
        return counted(line["n_scenes"], "scene")
    return "incomplete" if line["incomplete"] else "no rival"


def _short(text: str) -> str:
    text = visible(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _width(text: str) -> int:
    """Estimate the width in px of a text in Verdana at 11 px; `textLength` then makes it so in any font."""
    return round(sum(4.2 if each in _NARROW else 8.4 if each in _WIDE else 7.0 for each in text))


def _drawn(left: str, right: str, colour: str, title: str) -> str:
    one, other = _width(left) + 12, _width(right) + 12
    title = visible(title)
    size = f'width="{one + other}" height="20"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>
<title>{escape(title)}</title>
<clipPath id="rounded"><rect {size} rx="3"/></clipPath>
<g clip-path="url(#rounded)">
<rect width="{one}" height="20" fill="#444"/>
<rect x="{one}" width="{other}" height="20" fill="{colour}"/>
</g>
<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
{_text(left, one / 2, one - 12)}
{_text(right, one + other / 2, other - 12)}
</g>
</svg>
"""


def _text(text: str, middle: float, width: int) -> str:
    fitted = f'textLength="{width}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{middle:g}" y="14" {fitted}>{escape(text)}</text>'
