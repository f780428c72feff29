"""The figure `images`: the scores of two rows against each other, a point per image, a panel per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from restorebench import RestorebenchError
from restorebench.toolbox.counts import counted
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import (
    Place,
    better,
    counts,
    image_scores,
    in_unit,
    left_out,
    of_suite,
    places,
    rows,
)
from restorebench_reports.figures.options import ImagesOptions
from restorebench_reports.figures.style import Key, Spec

if TYPE_CHECKING:
    import pandas as pd

_LEFT = 30.0  # room for the vertical axis, in pixels
_GAP = 10.0  # between panels
FIRST, SECOND, EQUAL = style.COLOURS[1], style.COLOURS[0], "#777777"


class Images:
    """Draws the score of one row across and that of another up; above the diagonal the second has more."""

    def __init__(self, options: ImagesOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: not two rows are named, no image has a score of both, or no such name.
        """
        if len(self._options.rows) != 2:
            known = ", ".join(row.name for row in rows(tables, ()))
            raise RestorebenchError(f"images needs two rows: --rows A,B; it has {known}")
        first, second = (row.name for row in rows(tables, self._options.rows))
        column = tables.board.column(self._options.metric)
        scores = image_scores(tables, column)
        panels = {
            place: found
            for place in places(tables, self._options.task)
            if len(found := _pairs(scores, place, first, second, column))
        }
        if not panels:
            raise RestorebenchError(f"no image has a score of both {first} and {second} in {column.name}")
        width = self._options.pixels
        every = [score for found in panels.values() for side in "ab" for score in found[side]]
        margin = 0.06 * (max(every) - min(every)) or 1.0
        domain = (min(every) - margin, max(every) + margin)
        side = "Above" if column.higher_is_better else "Below"
        shares = "the share of images on which it is, an equal score counting as half"
        notes = [f"{side} the line {second} is better; the percentages are {shares}."]
        title = (
            f"{of_suite(tables)}: {second} against {first}, {in_unit(column)}, {better(column)};"
            f" {counts(tables, list(panels))}"
        )
        notes += left_out([place.title for place in places(tables, self._options.task) if place not in panels])
        single = sum(int(pairs.attrs["single"]) for pairs in panels.values())
        alone = counted(single, "image with a score of one row only is", "images with a score of one row only are")
        notes += [f"{alone} left out."] if single else []
        keys = [
            Key(f"{second} better", SECOND),
            Key(f"{first} better", FIRST, "square"),
            Key("equal", EQUAL, "cross"),
        ]
        grid = _grid(panels, domain, (first, second), width)
        body = {"vconcat": [style.legend(keys, width - _LEFT), grid], "spacing": 8}
        return style.page(body, title, notes, width)


def _pairs(scores: pd.DataFrame, place: Place, first: str, second: str, column: Any) -> pd.DataFrame:
    """Return the sample and both scores of the images of a task that have both, and which is ahead."""
    found = scores[(scores.task == place.task) & (scores.dataset == place.dataset)]
    sides = [
        found[found.row == name].set_index("sample")["score"].rename(side)
        for name, side in ((first, "a"), (second, "b"))
    ]
    joined = sides[0].to_frame().join(sides[1], how="inner")
    sign = 1 if column.higher_is_better else -1
    ahead = sign * (joined.b - joined.a).round(6)
    pairs = joined.assign(ahead=ahead).reset_index()
    pairs.attrs["single"] = len(sides[0]) + len(sides[1]) - 2 * len(joined)
    return pairs


def share(pairs: pd.DataFrame) -> float:
    """Return the share of images on which the second row is better; an equal score counts as half."""
    return float((pairs.ahead > 0).mean() + (pairs.ahead == 0).mean() / 2)


def _grid(
    panels: Mapping[Place, pd.DataFrame], domain: tuple[float, float], names: tuple[str, str], width: float
) -> Spec:
    """Lay square panels out; all have the same axes."""
    wanted = 3 if width < 450 else 5
    across = min(wanted, len(panels))
    inner = (width - _LEFT - (across - 1) * _GAP) / max(across, 2)
    drawn = [
        _panel(n, place, pairs, domain, names, inner, n + across >= len(panels), n % across == 0)
        for n, (place, pairs) in enumerate(panels.items())
    ]
    return {"concat": drawn, "columns": across, "bounds": "flush", "spacing": {"row": 24, "column": _GAP}}


def _panel(
    number: int,
    place: Place,
    pairs: pd.DataFrame,
    domain: tuple[float, float],
    names: tuple[str, str],
    side: float,
    below: bool,
    beside: bool,
) -> Spec:
    """Draw one task. below, beside: whether this panel has the axis of its column, of its row."""
    first, second = (style.shortened(name, style.TEXT, side) for name in names)
    scale = {"domain": list(domain), "nice": False, "zero": False}
    x = {"type": "quantitative", "scale": scale, "axis": _axis(first, below)}
    y = {"type": "quantitative", "scale": scale, "axis": _axis(second, beside)}
    values = [_point(place, pair, names) for pair in pairs.to_dict("records")]
    ends = [{"at": at} for at in domain]
    title = f"{place.title} {share(pairs):.0%}"
    return {
        "width": side,
        "height": side,
        "layer": [
            style.panel_title(title, side),
            {
                "data": {"values": ends},
                "mark": {"type": "line", "color": style.SOFT, "strokeDash": [3, 2], "strokeWidth": 1},
                "encoding": {"x": x | {"field": "at"}, "y": y | {"field": "at"}},
            },
            {
                "data": {"values": values},
                "params": [{"name": f"zoom{number}", "select": "interval", "bind": "scales"}],
                "mark": {"type": "point", "size": 26, "opacity": 0.75},
                "encoding": {
                    "x": x | {"field": "a"},
                    "y": y | {"field": "b"},
                    **style.marked(),
                    "tooltip": style.tooltip("image", "task", "across", "up"),
                },
            },
        ],
    }


def _axis(title: str, shown: bool) -> Spec:
    return {"title": title if shown else None, "labels": shown, "ticks": shown, "tickCount": 4, "titlePadding": 3}


def _point(place: Place, pair: Mapping[Any, Any], names: tuple[str, str]) -> dict[str, Any]:
    ahead = pair["ahead"]
    colour, shape = (SECOND, "circle") if ahead > 0 else (FIRST, "square") if ahead < 0 else (EQUAL, "cross")
    scores = {side: style.number(pair[side]) for side in "ab"}
    looks = {"colour": colour, "fill": colour, "shape": shape}
    said = {
        way: f"{name}: {scores[side]:g}" for way, name, side in zip(("across", "up"), names, "ab", strict=True)
    }
    return {"image": pair["sample"], "task": place.title, **scores, **said, **looks}
