"""The figure `gains`: a forest plot of each row's gain over its input, one panel per task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from restorebench import RestorebenchError
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import (
    Place,
    Row,
    compared_notes,
    counts,
    left_out,
    of_suite,
    places,
    rows,
)
from restorebench_reports.figures.options import BoardOptions
from restorebench_reports.figures.style import Key, Spec

FAMILY_COLOURS = {"blind": style.COLOURS[0], "told": style.COLOURS[1], "yardstick": "#777777"}
_STEP = 13.0  # height of a row in pixels
_NARROWEST = 80.0  # width of a panel in pixels
_LETTERS = 60.0  # most room for the letters of a row, in pixels
_APART = 8.0  # between the names of rows and the first panel
_BEYOND = 0.35  # how far the axis goes beyond the gains, as a share of their spread
Point = dict[str, Any]


class Gains:
    """Draws the mean difference of each row to identity on the same images, turned so that higher is better."""

    def __init__(self, options: BoardOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: the run has no row that is identity, no such name, or the column is not compared.
        """
        column = tables.board.column(self._options.metric)
        shown = rows(tables, self._options.rows)
        identity = next((row.name for row in rows(tables, ()) if row.is_identity), None)
        if identity is None:
            raise RestorebenchError("gains are over identity, which has no row; add it to the restorers")
        panels = places(tables, self._options.task, averages=True)
        points = {place: _points(tables, column, place, shown, identity) for place in panels}
        every = [point for found in points.values() for point in found]
        if not any(point["row"] != identity for point in every):
            raise RestorebenchError(
                f"no gain in {column.name}: no row was scored on the same images as {identity}, or the column"
                " never ranks"
            )
        width = self._options.pixels
        domain, clipped = _domain(every)
        names = [row.name for row in shown]
        unit = f" ({column.unit})" if column.unit else ""
        left = min(max(style.text_width(name, style.SMALL) for name in names), 0.36 * width)
        grid = _grid(points, names, left, domain, f"gain{unit}", width - left - _APART)
        families = list(dict.fromkeys(row.family for row in shown))
        keys = [Key(f"{family} rows", FAMILY_COLOURS[family]) for family in families]
        title = f"{of_suite(tables)}: gain over identity in {column.name}; {counts(tables, panels)}"
        drawn = {(point["row"], point["task"]) for point in every}
        pairs = [(row.name, place.title) for place in panels for row in shown]
        notes = [_gain(tables, column, every, clipped), *compared_notes(tables, column, panels, shown)]
        notes += left_out([f"{name} on {task}" for name, task in pairs if (name, task) not in drawn])
        if any(point["group"] for point in every):
            notes.append("Letters: rows of one colour that share a letter are not separated.")
        return style.page(
            {"vconcat": [style.legend(keys, width - left - _APART), grid], "spacing": 8}, title, notes, width
        )


def _points(tables: Any, column: Any, place: Place, shown: Sequence[Row], identity: str) -> list[Point]:
    """Return the gain of every row on a task, with its interval and letters; identity itself is at zero."""
    frame = tables.comparisons
    frame = frame[(frame.task == place.task) & (frame.dataset == place.dataset) & (frame.column == column.name)]
    frame = frame[frame.family.str.endswith(" against identity")]
    letters = tables.compared.letters(place.task, place.dataset, column.name)
    best = tables.compared.best(place.task, place.dataset, column.name)
    sign = 1 if column.higher_is_better else -1
    gains: dict[str, tuple[float, ...]] = {identity: (0.0, math.nan, math.nan)} if len(frame) else {}
    for pair in frame.to_dict("records"):
        ends = sorted((sign * pair["low"], sign * pair["high"])) if pair["low"] == pair["low"] else [math.nan] * 2
        gains[pair["a"]] = (sign * pair["difference"], *ends)
    found = []
    for number, row in enumerate(shown):
        if row.name in gains:
            gain, low, high = gains[row.name]
            colour = FAMILY_COLOURS[row.family]
            point = {
                "number": number,
                "row": row.name,
                "task": place.title,
                "gain": gain,
                "low": low,
                "high": high,
                "colour": colour,
            }
            filled = {"fill": colour if row.name in best else "white", "shape": "circle"}
            found.append(point | filled | {"group": letters.get(row.name, "")})
    return found


def _domain(points: Sequence[Point]) -> tuple[tuple[float, float], bool]:
    """Return the ends of the axis, and whether an interval reaches beyond them.

    Intervals of few scenes can be a hundred times as wide as the gains; the axis is made for the gains.
    """
    gains = [0.0, *(point["gain"] for point in points)]
    spread = (max(gains) - min(gains)) or 1.0
    least, most = min(gains) - _BEYOND * spread, max(gains) + _BEYOND * spread
    lows = [point["low"] for point in points if point["low"] == point["low"]]
    highs = [point["high"] for point in points if point["high"] == point["high"]]
    low, high = max(min([*gains, *lows]), least), min(max([*gains, *highs]), most)
    margin = 0.06 * (high - low)
    return (low - margin, high + margin), min([0.0, *lows]) < least or max([0.0, *highs]) > most


def _gain(tables: Any, column: Any, points: Sequence[Point], clipped: bool) -> str:
    """Say what a gain is, and what its line is."""
    what = (
        "the score minus that of identity" if column.higher_is_better else "the score of identity minus the score"
    )
    text = f"Gain: {what} on the same images, so that right is better."
    if any(point["low"] == point["low"] for point in points):
        text += (
            f" Lines: its {tables.procedure['level']:.0%} interval; it excludes zero exactly where a difference to"
            " identity is shown. Without a line there was no test."
        )
    return text + (" A triangle: the interval goes on." if clipped else "")


def _grid(
    points: Mapping[Place, Sequence[Point]],
    names: Sequence[str],
    left: float,
    domain: tuple[float, float],
    axis: str,
    width: float,
) -> Spec:
    """Lay the panels out. left: room for the names of the rows. width: of the rest, in pixels."""
    letters = max(style.text_width(p["group"], style.SMALL) for found in points.values() for p in found)
    beside = 6 + min(letters, _LETTERS)
    across = min(3, len(points), max(int((width + 6) // (_NARROWEST + beside + 6)), 1))
    inner = (width - across * beside - (across - 1) * 6) / across
    panels = []
    for n, (place, found) in enumerate(points.items()):
        last_row = n + across >= len(points)
        y = style.named("number", names, left, labels=n % across == 0, labelPadding=5, ticks=False, domain=False)
        panels.append(_panel(place, found, y, domain, inner, axis if last_row else ""))
    return {
        "concat": panels,
        "columns": across,
        "bounds": "flush",
        "spacing": {"row": 24, "column": beside + 6},
    }


def _panel(
    place: Place,
    points: Sequence[Point],
    y: Spec,
    domain: tuple[float, float],
    width: float,
    axis: str,
) -> Spec:
    """Draw one task. y: its rows. axis: title of the axis below; without one, its labels are left out too."""
    low, high = domain
    values, ends = _values(points, domain), _ends(points, domain, 4 * (high - low) / width)
    below = {"title": axis or None, "labels": bool(axis), "ticks": bool(axis), "tickCount": 4, "titlePadding": 3}
    x = {"type": "quantitative", "scale": {"domain": [low, high], "nice": False, "zero": False}, "axis": below}
    line = {"x": x | {"field": "from"}, "x2": {"field": "to"}, "y": y, "color": style.literal("colour")}
    point = {"x": x | {"field": "gain"}, "y": y, **style.marked()}
    point["tooltip"] = style.tooltip("row", "task", "gain", "low", "high", "group")
    end = {"x": x | {"field": "at"}, "y": y, "shape": style.literal("shape"), "color": style.literal("colour")}
    text = {"x": {"value": width + 4}, "y": y, "text": {"field": "letters", "type": "nominal"}}
    return {
        "width": width,
        "height": _STEP * len(y["scale"]["domain"]),
        "data": {"values": values},
        "layer": [
            style.panel_title(place.title, width),
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": style.SOFT, "strokeDash": [3, 2]},
                "encoding": {"x": x | {"field": "zero"}},
            },
            {"mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": line},
            {
                "data": {"values": ends},
                "mark": {"type": "point", "filled": True, "size": 30, "opacity": 1},
                "encoding": end,
            },
            {"mark": {"type": "point", "size": 32, "opacity": 1}, "encoding": point},
            {
                "mark": {"type": "text", "align": "left", "baseline": "middle"},
                "encoding": text | {"color": style.literal("colour")},
            },
        ],
    }


def _values(points: Sequence[Point], domain: tuple[float, float]) -> list[Point]:
    """Return the points as data: what is not known is null, and lines end where the axis does."""
    low, high = domain
    found = []
    for point in points:
        known = {
            name: None if point[name] != point[name] else style.number(point[name]) for name in ("low", "high")
        }
        line: dict[str, float | None] = {"from": None, "to": None}
        if known["low"] is not None and known["high"] is not None:
            line = {"from": max(known["low"], style.number(low)), "to": min(known["high"], style.number(high))}
        letters = style.shortened(point["group"], style.SMALL, _LETTERS)
        found.append({**point, **known, **line, "gain": style.number(point["gain"]), "letters": letters})
    return found


def _ends(points: Sequence[Point], domain: tuple[float, float], inside: float) -> list[Point]:
    """Return a triangle for each end of an interval that is beyond the axis. inside: how far from its end."""
    low, high = domain
    return [
        {"number": point["number"], "at": at, "colour": point["colour"], "shape": f"triangle-{side}"}
        for point in points
        for side, at, beyond in (
            ("left", low + inside, point["low"] < low),
            ("right", high - inside, point["high"] > high),
        )
        if beyond
    ]
