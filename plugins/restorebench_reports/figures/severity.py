"""The figure `severity`: the mean score of each row over the severity of the degradation, a panel per task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from restorebench import RestorebenchError
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import (
    Place,
    Row,
    better,
    counts,
    image_scores,
    in_unit,
    left_out,
    of_suite,
    places,
    rows,
)
from restorebench_reports.figures.options import BoardOptions
from restorebench_reports.figures.style import Key, Spec

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 12
_AXIS = 34.0  # room for the vertical axis of a panel, in pixels
_SEVERITY = r"@([1-5])$"  # how the dataset `synthetic` names what it degrades: PHOTOGRAPH@SEVERITY

Curves = dict[str, dict[int, float]]
"""By row: the mean score at each severity."""


class Severity:
    """Draws the mean over the photographs at each severity, and gives the area under each curve."""

    def __init__(self, options: BoardOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: no task has images of two severities, too many rows, or no such name.
        """
        column = tables.board.column(self._options.metric)
        shown = rows(tables, self._options.rows)
        if len(shown) > MOST_ROWS:
            raise RestorebenchError(
                f"severity shows at most {MOST_ROWS} rows, and there are {len(shown)}; choose some with --rows a,b"
            )
        panels, lacking = _panels(tables, column, places(tables, self._options.task), shown)
        if not panels:
            raise RestorebenchError(
                f"severity needs images of two severities with scores in {column.name}; give the dataset synthetic"
                " `severities: [1, 2, 3, 4, 5]`"
            )
        width = self._options.pixels
        keys = [
            Key(f"{row.name} ({_shown_area(panels, row, column)})", *style.mark_of(n), line=True)
            for n, row in enumerate(shown)
        ]
        title = (
            f"{of_suite(tables)}: {in_unit(column)} over severity, {better(column)};"
            f" {counts(tables, list(panels))}"
        )
        body = {"vconcat": [style.legend(keys, width - _AXIS), _grid(panels, shown, width)], "spacing": 8}
        return style.page(body, title, list(_notes(panels, lacking)), width)


def _panels(
    tables: Any, column: Any, wanted: Sequence[Place], shown: Sequence[Row]
) -> tuple[dict[Place, Curves], list[str]]:
    """Return the curves of every task that has several severities, and the rows that were left out of it."""
    scores = image_scores(tables, column)
    scores = scores[scores.kind == "synthetic"]
    ends = [re.search(_SEVERITY, sample) for sample in scores["sample"]]
    scores = scores.assign(severity=[end[1] if end else "" for end in ends])
    scores = scores[scores.severity != ""]
    panels, lacking = {}, []
    for place in wanted:
        found = scores[(scores.task == place.task) & (scores.dataset == place.dataset)]
        if found.severity.nunique() > 1:
            images = found["sample"].nunique()
            complete = [row for row in shown if (found.row == row.name).sum() == images]
            if complete:
                panels[place] = {row.name: _curve(found[found.row == row.name]) for row in complete}
            lacking += [f"{row.name} on {place.title}" for row in shown if row not in complete]
    return panels, lacking


def _curve(scores: pd.DataFrame) -> dict[int, float]:
    means = scores.groupby("severity")["score"].mean()
    return {int(str(severity)): float(mean) for severity, mean in means.items()}


def area(curve: Mapping[int, float]) -> float:
    """Return the area under a curve by the trapezoidal rule, over the width of the severities: a mean height."""
    points = sorted(curve.items())
    whole = sum((right - left) * (a + b) / 2 for (left, a), (right, b) in pairwise(points))
    return whole / (points[-1][0] - points[0][0])


def _shown_area(panels: Mapping[Place, Curves], row: Row, column: Any) -> str:
    """Return the mean area of a row over the tasks as text; only where it has a curve on each of them."""
    areas = [area(curves[row.name]) for curves in panels.values() if row.name in curves]
    return f"{sum(areas) / len(areas):.{column.decimals}f}" if len(areas) == len(panels) else "-"


def _notes(panels: Mapping[Place, Curves], lacking: Sequence[str]) -> Iterator[str]:
    several = ", the mean over the tasks" if len(panels) > 1 else ""
    yield (
        "Each point is the mean over the photographs at that severity. In brackets: the area under the curve,"
        f" divided by its width{several}. Each panel has its own vertical scale."
    )
    yield "It does not follow which differences were shown; the figure gains and the command compare say so."
    yield from left_out(lacking)


def _grid(panels: Mapping[Place, Curves], shown: Sequence[Row], width: float) -> Spec:
    across = min(2 if width < 450 else 3 if width < 560 or len(panels) < 7 else 4, len(panels))
    inner = width / across - _AXIS
    drawn = [
        _panel(place, curves, shown, inner, n + across >= len(panels))
        for n, (place, curves) in enumerate(panels.items())
    ]
    return {"concat": drawn, "columns": across, "bounds": "flush", "spacing": {"row": 24, "column": _AXIS}}


def _panel(place: Place, curves: Curves, shown: Sequence[Row], width: float, below: bool) -> Spec:
    """Draw one task. below: whether it has the axis of its column."""
    severities = sorted({severity for curve in curves.values() for severity in curve})
    values = _values(place, curves, shown)
    axis = {"values": severities, "format": "d", "grid": False, "title": "severity" if below else None}
    axis |= {"labels": below, "ticks": below, "titlePadding": 3}
    x = {
        "field": "severity",
        "type": "quantitative",
        "scale": {"domain": [severities[0] - 0.2, severities[-1] + 0.2], "nice": False, "zero": False},
        "axis": axis,
    }
    scores = [mean for curve in curves.values() for mean in curve.values()]
    margin = 0.07 * (max(scores) - min(scores)) or 1.0
    y = {
        "field": "score",
        "type": "quantitative",
        "scale": {"domain": [min(scores) - margin, max(scores) + margin], "nice": False, "zero": False},
        "axis": {"title": None, "tickCount": 4},
    }
    detail = {"field": "number", "type": "nominal"}
    size = {"field": "size", "type": "quantitative", "scale": None, "legend": None}
    return {
        "width": width,
        "height": min(0.8 * width, 220),
        "data": {"values": values},
        "layer": [
            style.panel_title(place.title, width),
            {
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": {"x": x, "y": y, "detail": detail, "color": style.literal("colour")},
            },
            {
                "mark": {"type": "point", "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    **style.marked(),
                    "size": size,
                    "tooltip": style.tooltip("row", "task", "severity", "score"),
                },
            },
        ],
    }


def _values(place: Place, curves: Curves, shown: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the points of all rows; the first ones are larger, to be seen below equal ones."""
    values = []
    for n, row in enumerate(shown):
        colour, shape = style.mark_of(n)
        looks = {"colour": colour, "fill": colour, "shape": shape, "size": 60 - 6 * min(n, 7)}
        names = {"number": n, "row": row.name, "task": place.title}
        values += [
            {**names, "severity": at, "score": style.number(mean), **looks}
            for at, mean in sorted(curves.get(row.name, {}).items())
        ]
    return values
