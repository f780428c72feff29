"""The figure `reliability`: how often each detector is right at each probability that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from restorebench import RestorebenchError
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import images_each, named_only, of_suite
from restorebench_reports.figures.options import ReliabilityOptions
from restorebench_reports.figures.style import Spec

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 300.0  # side of a panel in pixels; a larger one says no more
_LEFT = 44.0  # room for the vertical axis of a panel, in pixels
_COUNTS = 46.0  # height of the strip of counts, in pixels
_GAP = 0.006  # between two bars, in probability
_NOTES = (
    "Each point is a bin of images: their mean predicted probability, and the share of them on which the most"
    " probable task is present, with its 95 % interval. On the dashed line a detector is right as often as it"
    " predicts; below it, it is too sure.",
    "Grey: the number of images of each bin. Clean images are left out, as no task is present in them.",
)


class Reliability:
    """Draws a panel per detector: the share that was right over the predicted probability, and the images."""

    def __init__(self, options: ReliabilityOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: there are no probabilities, or no such detector.
        """
        if not tables.board.detector_cells:
            raise RestorebenchError(
                "reliability needs what detectors predicted of each image; `restorebench publish` writes a folder"
                " that holds it, of a run with detectors"
            )
        if tables.reliability.empty:
            raise RestorebenchError(
                "reliability needs probabilities, and no detector gave any of a degraded image"
            )
        silent = _silent(tables)
        for name in self._options.rows:
            if name in silent:
                raise RestorebenchError(f"detector {name!r} gave no probability of a degraded image")
        frame = named_only(tables.reliability, "detector", self._options.rows)
        notes = [] if self._options.rows or not silent else [f"Without probabilities: {', '.join(silent)}."]
        width = self._options.pixels
        across = 2 if width > 560 and len(frame[["dataset", "detector"]].drop_duplicates()) > 1 else 1
        side = min(width / across - _LEFT, _LARGEST)
        panels = [
            (f"{detector} ({dataset})" if frame.dataset.nunique() > 1 else str(detector), part)
            for (dataset, detector), part in frame.groupby(["dataset", "detector"], sort=False)
        ]
        drawn = [_panel(title, part, side) for title, part in panels]
        images = frame.groupby(["dataset", "detector"])["images"].sum()
        title = f"{of_suite(tables)}: share that was right over the predicted probability; {images_each(images)}"
        body = {"concat": drawn, "columns": across, "spacing": {"row": 28, "column": 20}}
        return style.page(body, title, (*_NOTES, *notes), width)


def _silent(tables: Any) -> list[str]:
    """List the detectors of a board that gave no probability of a degraded image."""
    named = dict.fromkeys(cell.detector for cell in tables.board.detector_cells)
    return [name for name in named if name not in set(tables.reliability.detector)]


def _panel(title: str, part: pd.DataFrame, side: float) -> Spec:
    """Draw one detector: the curve, and the counts below it on the same axis."""
    values = [
        {
            "from": style.number(row["low"]),
            "to": style.number(row["high"]),
            "left": style.number(row["low"] + _GAP),
            "across": style.number(row["high"] - _GAP),
            "images": int(row["images"]),
            "probability": style.number(row["probability"]),
            "right": style.number(row["right"]),
            "low": style.number(row["right_low"]),
            "high": style.number(row["right_high"]),
        }
        for row in part.to_dict("records")
    ]
    return {
        "vconcat": [_curve(title, values, side), _counts(values, side)],
        "spacing": 6,
        "bounds": "flush",
    }


def _probability(field: str, **axis: Any) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [0, 1], "nice": False},
        "axis": {"values": [0, 0.2, 0.4, 0.6, 0.8, 1], "format": ".1f", **axis},
    }


def _curve(title: str, values: Sequence[Spec], side: float) -> Spec:
    x = _probability("probability", title=None, labels=False, ticks=False)
    y = _probability("right", title="share that was right")
    colour = style.COLOURS[0]
    return {
        "width": side,
        "height": side,
        "data": {"values": list(values)},
        "layer": [
            style.panel_title(title, side),
            {
                "data": {"values": [{"probability": 0, "right": 0}, {"probability": 1, "right": 1}]},
                "mark": {"type": "line", "color": style.SOFT, "strokeDash": [3, 2], "strokeWidth": 1},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "rule", "color": colour, "strokeWidth": 1.5},
                "encoding": {
                    "x": x,
                    "y": _probability("low", title="share that was right"),
                    "y2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "size": 45, "opacity": 1, "filled": True, "color": colour},
                "encoding": {
                    "x": x,
                    "y": y,
                    "tooltip": style.tooltip("probability", "right", "low", "high", "images"),
                },
            },
        ],
    }


def _counts(values: Sequence[Spec], side: float) -> Spec:
    """Draw a bar with its number for each bin; the highest leaves room for its number."""
    most = max(value["images"] for value in values) * 1.35
    x = _probability("left", title="predicted probability")
    y = {
        "field": "images",
        "type": "quantitative",
        "scale": {"domain": [0, most], "nice": False},
        "axis": {"title": "images", "labels": False, "ticks": False, "grid": False},
    }
    middles = [{**value, "middle": style.number((value["from"] + value["to"]) / 2)} for value in values]
    return {
        "width": side,
        "height": _COUNTS,
        "data": {"values": middles},
        "layer": [
            {
                "mark": {"type": "rect", "color": style.FAINT},
                "encoding": {"x": x, "x2": {"field": "across"}, "y": y, "y2": {"datum": 0}},
            },
            {
                "mark": {"type": "text", "baseline": "bottom", "dy": -1},
                "encoding": {
                    "x": _probability("middle", title="predicted probability"),
                    "y": y,
                    "text": {"field": "images", "type": "quantitative"},
                },
            },
        ],
    }
