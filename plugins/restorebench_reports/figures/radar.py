"""The figure `radar`: a spoke per task, a closed line per row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restorebench import RestorebenchError
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import (
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
from restorebench_reports.figures.options import RadarOptions
from restorebench_reports.figures.style import Key, Spec

MOST_ROWS = 8
INPUT = 0.25
"""The radius of the ring that stands for the input; the rim has radius 1."""
LEAST = 0.1
"""A spoke spans at least this share of the widest spoke, or noise on a task without gains would fill it."""
Scores = Mapping[tuple[str, str, str], float]
"""By task, dataset and row."""
_CLEAR = 10.0  # between the rim and the texts around it, in pixels
_WIDEST = 190.0  # the radius of the rim in pixels; a larger one says no more


@dataclass(frozen=True)
class Spoke:
    """The axis of one task. angle: clockwise from the top. start, end: scores at the inner ring and at the rim."""

    place: Place
    angle: float
    start: float
    end: float

    def radius(self, score: float) -> float:
        """Return the radius of a score; what is far worse than the inner ring stays at the centre."""
        return max(INPUT + (1 - INPUT) * (score - self.start) / (self.end - self.start), 0.0)


class Radar:
    """Draws the mean score of each row on each task, each task on a scale of its own that is written beside it."""

    def __init__(self, options: RadarOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: the run has fewer than three tasks, too many rows, or no such name.
        """
        column = tables.board.column(self._options.metric)
        shown, around = rows(tables, self._options.rows), places(tables, None)
        if len(around) < 3:
            raise RestorebenchError(
                f"a radar needs three tasks, and there are {len(around)}; `plot gains` shows them"
            )
        if len(shown) > MOST_ROWS:
            raise RestorebenchError(
                f"a radar shows at most {MOST_ROWS} rows, and there are {len(shown)}; choose some with --rows a,b"
            )
        scores = means(tables, column.name)
        identity = next((row.name for row in rows(tables, ()) if row.is_identity), "")
        spokes = _spokes(around, shown, scores, identity, column.higher_is_better)
        width = self._options.pixels
        texts = [_texts(spoke, column) for spoke in spokes]
        web = _Web(spokes, texts, width)
        keys = [Key(row.name, *style.mark_of(n), line=True) for n, row in enumerate(shown)]
        marks = [
            mark | web.at(spoke, spoke.radius(mark["score"]))
            for mark, spoke in _marks(tables, column, spokes, shown, scores)
        ]
        title = f"{of_suite(tables)}: {in_unit(column)} per task, {better(column)}; {counts(tables, around)}"
        body = {"vconcat": [style.legend(keys, width), web.spec(marks)], "spacing": 6}
        return style.page(body, title, list(_notes(tables, column, spokes, identity, shown, scores)), width)


def _spokes(
    around: Sequence[Place],
    shown: Sequence[Row],
    scores: Scores,
    identity: str,
    higher_is_better: bool,
) -> list[Spoke]:
    """Lay out the axes: from the input (or the worst row, without one) to the best row of each task."""
    sign = 1 if higher_is_better else -1
    starts, spans = [], []
    for place in around:
        known = [s for row in shown if (s := scores.get((place.task, place.dataset, row.name))) is not None]
        worst = min(known, key=lambda score: sign * score, default=0.0)
        start = scores.get((place.task, place.dataset, identity), worst)
        starts.append(start)
        spans.append(max((sign * (score - start) for score in known), default=0.0))
    widest = max(spans) if max(spans) > 0 else 1.0
    return [
        Spoke(place, 2 * math.pi * n / len(around), start, start + sign * max(span, LEAST * widest))
        for n, (place, start, span) in enumerate(zip(around, starts, spans, strict=True))
    ]


def _marks(
    tables: Any,
    column: Any,
    spokes: Sequence[Spoke],
    shown: Sequence[Row],
    scores: Scores,
) -> Iterator[tuple[dict[str, Any], Spoke]]:
    """Yield the marks of every row, around the circle; the first are the largest, to be seen below equal ones.

    The first mark is repeated at the end, to close the line.
    """
    for n, row in enumerate(shown):
        colour, shape = style.mark_of(n)
        piece = 0
        for order, spoke in enumerate([*spokes, spokes[0]]):
            place = spoke.place
            score = scores.get((place.task, place.dataset, row.name))
            if score is None:  # the line has a gap here
                piece += 1
                continue
            best = row.name in tables.compared.best(place.task, place.dataset, column.name)
            mark = {
                "piece": f"{n}.{piece}",
                "row": row.name,
                "task": place.title,
                "score": style.number(score),
                "order": order,
            }
            looks = {"colour": colour, "fill": colour if best else "white", "shape": shape}
            yield mark | looks | {"size": 110 - 12 * n, "best group": "yes" if best else "no"}, spoke


def _texts(spoke: Spoke, column: Any) -> tuple[str, str]:
    """Return the two lines beside a spoke: its task, and what its scale goes from and to."""
    ends = [f"{score:.{column.decimals}f}" for score in (spoke.start, spoke.end)]
    return style.shortened(spoke.place.title, style.SMALL, 120), " to ".join(ends)


def _notes(
    tables: Any, column: Any, spokes: Sequence[Spoke], identity: str, shown: Sequence[Row], scores: Scores
) -> Iterator[str]:
    inner = "the input (identity)" if identity else "the worst of these rows"
    yield (
        f"Each task has its own scale, written beside it: from {inner} at the inner ring to the best of these"
        f" rows at the rim, but at least {LEAST:.0%} of the widest scale. Inside the inner ring a row is worse, at"
        " the centre by a third of the scale or more. Areas mean nothing: they depend on the order of the tasks."
    )
    yield from compared_notes(tables, column, [spoke.place for spoke in spokes], shown)
    keys = [(row.name, spoke.place) for spoke in spokes for row in shown]
    lacking = [(name, place) for name, place in keys if (place.task, place.dataset, name) not in scores]
    yield from left_out([f"{name} on {place.title}" for name, place in lacking])


class _Web:
    """The net behind the lines. Positions are in pixels from the upper left corner."""

    def __init__(self, spokes: Sequence[Spoke], texts: Sequence[tuple[str, str]], width: float) -> None:
        self._spokes, self._texts = spokes, texts
        beside = max(
            max(style.text_width(text, style.SMALL) for text in pair) * abs(math.sin(spoke.angle))
            for spoke, pair in zip(spokes, texts, strict=True)
        )
        self._rim = max(min(width / 2 - beside - _CLEAR - 5, _WIDEST), 30.0)
        above = _CLEAR + 2.9 * style.SMALL  # room for a label
        self._width, self._middle = width, self._rim + above
        self._height = self._middle + above - self._rim * min(math.cos(spoke.angle) for spoke in spokes)

    def at(self, spoke: Spoke, radius: float) -> dict[str, float]:
        """Return the position on a spoke."""
        right, up = math.sin(spoke.angle) * radius, math.cos(spoke.angle) * radius
        return {
            "x": style.number(self._width / 2 + right * self._rim),
            "y": style.number(self._middle - up * self._rim),
        }

    def spec(self, marks: Sequence[dict[str, Any]]) -> Spec:
        """Return the view with the net, its texts, and the lines and marks of the rows."""
        x, y = style.plane(self._width, self._height)
        place = {"x": x, "y": y}
        tooltip = style.tooltip("row", "task", "score", "best group")
        curve = {**place, "detail": {"field": "piece", "type": "nominal"}, "order": {"field": "order"}}
        size = {"field": "size", "type": "quantitative", "scale": None, "legend": None}
        return {
            "width": self._width,
            "height": self._height,
            "view": {"stroke": None},
            "data": {"values": marks},
            "layer": [
                *self._net(place),
                {
                    "mark": {"type": "line", "strokeWidth": 1.5},
                    "encoding": curve | {"color": style.literal("colour")},
                },
                {
                    "mark": {"type": "point", "opacity": 1, "strokeWidth": 1.5},
                    "encoding": {**place, **style.marked(), "size": size, "tooltip": tooltip},
                },
            ],
        }

    def _net(self, place: Spec) -> list[Spec]:
        """Return the rings, the spokes and the texts around them."""
        closed = list(enumerate([*self._spokes, self._spokes[0]]))
        rings = [
            self.at(spoke, radius) | {"line": f"ring {radius}", "order": n}
            for radius in (INPUT, (1 + INPUT) / 2, 1.0)
            for n, spoke in closed
        ]
        lines = [
            self.at(spoke, radius) | {"line": f"spoke {n}", "order": radius}
            for n, spoke in closed[:-1]
            for radius in (0.0, 1.0)
        ]
        path = {**place, "detail": {"field": "line", "type": "nominal"}, "order": {"field": "order"}}
        input_ring = [each for each in rings if each["line"] == f"ring {INPUT}"]
        return [
            {
                "data": {"values": [*rings, *lines]},
                "mark": {"type": "line", "strokeWidth": 0.7, "color": style.FAINT},
                "encoding": path,
            },
            {
                "data": {"values": input_ring},
                "mark": {"type": "line", "strokeWidth": 1, "strokeDash": [3, 2], "color": style.SOFT},
                "encoding": path,
            },
            *(self._label(spoke, pair, place) for spoke, pair in zip(self._spokes, self._texts, strict=True)),
        ]

    def _label(self, spoke: Spoke, texts: tuple[str, str], place: Spec) -> Spec:
        """Return the two lines of text outside the rim, on the side where there is room."""
        across, up = math.sin(spoke.angle), math.cos(spoke.angle)
        position = self.at(spoke, 1.0 + _CLEAR / self._rim)  # clear of the marks on the rim
        line = style.SMALL * style.LINE
        top = position["y"] - up * 0.9 * line - line  # the middle of the text moves out as the spoke does
        rows = [
            {"x": position["x"] + 3 * across, "y": top + line * (n + 0.5), "text": text, "soft": n}
            for n, text in enumerate(texts)
        ]
        align = "center" if abs(across) < 0.1 else "left" if across > 0 else "right"
        colour = {"condition": {"test": "datum.soft > 0", "value": style.SOFT}, "value": style.INK}
        return {
            "data": {"values": rows},
            "mark": {"type": "text", "align": align, "baseline": "middle", "fontSize": style.SMALL},
            "encoding": {**place, "text": {"field": "text", "type": "nominal"}, "color": colour},
        }
