"""The figure `cost`: the score of each row over the time that it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from restorebench import CLEAN, RestorebenchError
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import (
    AVERAGES,
    Place,
    Row,
    better,
    compared_notes,
    counts,
    in_unit,
    left_out,
    means,
    of_suite,
    places,
    rows,
)
from restorebench_reports.figures.options import BoardOptions
from restorebench_reports.figures.style import Key, Spec

_AXIS = 40.0  # room for the vertical axis, in pixels
Point = dict[str, Any]


class Cost:
    """Draws seconds per megapixel across, on a logarithmic axis, and the mean score up, with their frontier."""

    def __init__(self, options: BoardOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: no row has both a score and a time, or there is no such name.
        """
        column = tables.board.column(self._options.metric)
        shown = rows(tables, self._options.rows)
        panels = places(tables, self._options.task or AVERAGES[0], averages=True)
        points = {place: _points(tables, column, place, shown) for place in panels}
        if not any(points.values()):
            where = self._options.task or "the average; name a task with --task"
            raise RestorebenchError(f"no row has a score in {column.name} and a time on {where}")
        width = self._options.pixels
        keys = [Key(row.name, *style.mark_of(n)) for n, row in enumerate(shown)]
        title = (
            f"{of_suite(tables)}: {in_unit(column)} over time, {better(column)};"
            f" {panels[0].task}, {counts(tables, panels)}"
        )
        drawn = [
            _panel(place, points[place], column, width - _AXIS, place is panels[-1])
            for place in panels
            if points[place]
        ]
        body = {"vconcat": [style.legend(keys, width - _AXIS), *drawn], "spacing": 12}
        return style.page(body, title, list(_notes(tables, column, panels, shown, points)), width)


def _points(tables: Any, column: Any, place: Place, shown: Sequence[Row]) -> list[Point]:
    """Return the time and the score of each row that has both."""
    scores, best = means(tables, column.name), tables.compared.best(place.task, place.dataset, column.name)
    found = []
    for n, row in enumerate(shown):
        score = scores.get((place.task, place.dataset, row.name))
        seconds = _seconds(tables, place, row.name)
        if score is not None and seconds:
            colour, shape = style.mark_of(n)
            looks = {"colour": colour, "fill": colour if row.name in best else "white", "shape": shape}
            point = {"row": row.name, "family": row.family, "score": style.number(score), "seconds": seconds}
            found.append(point | looks)
    return found


def _seconds(tables: Any, place: Place, name: str) -> float | None:
    """Return the seconds per megapixel of a row on a task; on an average, the mean over its tasks."""
    cells = [cell for cell in tables.board.cells if cell.name == name]
    if place.task in AVERAGES:
        cells = [cell for cell in cells if cell.task != CLEAN and place.dataset in ("*", cell.dataset)]
        if place.task == AVERAGES[1]:
            cells = [cell for cell in cells if any(sample.kind == "captured" for sample in cell.samples)]
    else:
        cells = [cell for cell in cells if (cell.task, cell.dataset) == (place.task, place.dataset)]
    key = ("task", "dataset", "restorer", "tell")
    known = {tuple(row[name] for name in key): row for row in tables.cost.to_dict("records")}
    rows = [known.get((cell.task, cell.dataset, cell.restorer, cell.tell), {}) for cell in cells]
    seconds = [float(row.get("seconds_per_megapixel", math.nan)) for row in rows]
    mean = sum(seconds) / len(seconds) if seconds else math.nan
    return style.number(mean) if 0 < mean < math.inf else None


def frontier(points: Sequence[Mapping[str, Any]], higher_is_better: bool) -> list[Mapping[str, Any]]:
    """Return the points, fastest first, that have a better score than every point that is as fast or faster."""
    sign = 1 if higher_is_better else -1
    kept: list[Mapping[str, Any]] = []
    for point in sorted(points, key=lambda point: (point["seconds"], -sign * point["score"])):
        if not kept or sign * point["score"] > sign * kept[-1]["score"]:
            kept.append(point)
    return kept


def _notes(
    tables: Any,
    column: Any,
    panels: Sequence[Place],
    shown: Sequence[Row],
    points: Mapping[Place, Sequence[Point]],
) -> Iterator[str]:
    where = tables.cost[["device", "threads"]].drop_duplicates().to_dict("records")
    machines = "; ".join(f"{each['device']}, threads: {each['threads']}" for each in where)
    alike = "" if len(where) == 1 else " Times of different devices or numbers of threads cannot be compared."
    mean = ", the mean over the tasks" if panels[0].task in AVERAGES else ""
    yield f"Time: the median over the images of a task{mean}, without loading ({machines}).{alike}"
    yield (
        "Lines: the frontier of the means of blind rows, dashed that of told rows. No row that is as fast has a"
        " better mean; it does not follow that the difference was shown."
    )
    yield from compared_notes(tables, column, panels, shown)
    drawn = {point["row"] for found in points.values() for point in found}
    yield from left_out([row.name for row in shown if row.name not in drawn], "scores or times")


def _panel(place: Place, points: Sequence[Point], column: Any, width: float, below: bool) -> Spec:
    """Draw one average or task. below: whether it has the title of the axis."""
    seconds, scores = [point["seconds"] for point in points], [point["score"] for point in points]
    span = max(math.log10(max(seconds) / min(seconds)), 1.0)
    least, most = min(seconds) / 10 ** (0.06 * span), max(seconds) * 10 ** (0.06 * span)
    margin = 0.08 * (max(scores) - min(scores)) or 1.0
    x = {
        "field": "seconds",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [least, most], "nice": False},
        "axis": {
            "title": "seconds per megapixel" if below else None,
            "format": "~g",
            "tickCount": 5,
            "labelOverlap": True,
        },
    }
    y = {
        "field": "score",
        "type": "quantitative",
        "scale": {"domain": [min(scores) - margin, max(scores) + margin], "nice": False, "zero": False},
        "axis": {"title": style.shortened(in_unit(column), style.TEXT, 0.5 * width), "tickCount": 6},
    }
    return {
        "width": width,
        "height": 0.55 * width,
        "layer": [
            style.panel_title(place.title, width),
            *_frontiers(points, column.higher_is_better, most, x, y),
            {
                "data": {"values": list(points)},
                "mark": {"type": "point", "size": 70, "opacity": 1, "strokeWidth": 1.5},
                "encoding": {
                    "x": x,
                    "y": y,
                    **style.marked(),
                    "tooltip": style.tooltip("row", "family", "seconds", "score"),
                },
            },
        ],
    }


def _frontiers(points: Sequence[Point], higher_is_better: bool, most: float, x: Spec, y: Spec) -> Iterator[Spec]:
    """Draw a frontier for the rows that may know nothing, and one for those that are told the task."""
    for family, dash in (("blind", [1, 0]), ("told", [4, 3])):
        kept = frontier([point for point in points if point["family"] == family], higher_is_better)
        if kept:
            corners = [{"seconds": point["seconds"], "score": point["score"]} for point in kept]
            corners.append({"seconds": most, "score": kept[-1]["score"]})
            yield {
                "data": {"values": corners},
                "mark": {
                    "type": "line",
                    "interpolate": "step-after",
                    "color": style.SOFT,
                    "strokeWidth": 1,
                    "strokeDash": dash,
                },
                "encoding": {"x": x, "y": y},
            }
