"""The figure `confusion`: what each detector says of the images of each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from restorebench import CLEAN, RestorebenchError, components, composite
from restorebench.toolbox.counts import counted
from restorebench_reports.figures import style
from restorebench_reports.figures.chosen import images_each, named_only, of_suite
from restorebench_reports.figures.options import ConfusionOptions
from restorebench_reports.figures.style import Spec

if TYPE_CHECKING:
    import pandas as pd

MOST_OTHERS = 6
"""How many verdicts that are no task of the run have a column of their own; the rest share one."""
NONE, FAILED = "none", "failed"
_RAMP = ("#eef3fa", "#08519c")
_LARGEST = 28.0  # side of a cell in pixels
_DEEP = 96.0  # room for the names of verdicts below a matrix, in pixels


class Confusion:
    """Draws a matrix per detector: true tasks down, verdicts across, shaded by their share of the row."""

    def __init__(self, options: ConfusionOptions, runtime: None) -> None:
        self._options = options

    def draw(self, tables: Any) -> Spec:
        """Return the specification.

        Raises:
            RestorebenchError: the run has no detectors, or no such detector or task.
        """
        frame = tables.confusion
        if frame.empty:
            raise RestorebenchError("confusion needs detectors, and the run has none; list some in its suite")
        frame = named_only(frame, "detector", self._options.rows)
        if self._options.task is not None:
            frame = named_only(frame, "task", (self._options.task,))
        width = self._options.pixels
        keys = list(dict.fromkeys(zip(frame.detector, frame.dataset, strict=True)))
        several = len({detector for detector, _ in keys}) < len(keys)
        matrices = [
            (
                f"{detector} ({dataset})" if several else detector,
                frame[(frame.detector == detector) & (frame.dataset == dataset)],
            )
            for detector, dataset in keys
        ]
        left = 6 + min(max(style.text_width(task, style.SMALL) for task in set(frame.task)), 0.3 * width)
        across = 2 if width > 560 and len(matrices) > 1 else 1
        inner = (width - left - (across - 1) * 14) / across
        drawn = [_matrix(title, part, inner, left, n % across == 0) for n, (title, part) in enumerate(matrices)]
        notes = [
            "Rows: the true task. Columns: the verdict; none is an image without a label. Numbers are images, the"
            " shade is their share of the row. Framed: the right verdict."
        ]
        images = frame.groupby(["detector", "dataset", "task"])["images"].sum()
        title = f"{of_suite(tables)}: verdicts of the detectors; {images_each(images)} per task"
        body = {"concat": drawn, "columns": across, "bounds": "flush", "spacing": {"row": 100, "column": 14}}
        return style.page(body, title, notes, width)


def _right(task: str) -> str:
    """Return the verdict that is right for a task."""
    return NONE if task == CLEAN else composite(components(task))


def _verdicts(part: pd.DataFrame, tasks: Sequence[str]) -> dict[str, str]:
    """Return the column of every verdict: those of the tasks, none, failed, others; the rarest share one."""
    counts = {str(name): int(images) for name, images in part.groupby("verdict")["images"].sum().items()}
    known = [*(verdict for verdict in map(_right, tasks) if verdict != NONE), NONE]
    known += [FAILED] if FAILED in counts else []
    others = sorted((verdict for verdict in counts if verdict not in known), key=lambda v: (-counts[v], v))
    named = others if len(others) <= MOST_OTHERS else others[: MOST_OTHERS - 1]
    rest = counted(len(others) - len(named), "other")
    return {verdict: verdict if verdict in (*known, *named) else rest for verdict in (*known, *others)}


def _matrix(title: str, part: pd.DataFrame, width: float, left: float, beside: bool) -> Spec:
    """Draw one detector. beside: whether the names of the tasks stand on the left."""
    tasks = list(dict.fromkeys(part.task))
    columns = _verdicts(part, tasks)
    order = list(dict.fromkeys(columns.values()))
    values = _cells(part, columns, tasks, order)
    step = min(width / len(order), _LARGEST)
    bare = {"ticks": False, "domain": False, "labelPadding": 4}
    x = style.named("across", order, _DEEP, **bare, labelAngle=-90, orient="bottom")
    y = style.named("down", tasks, left - 6, **bare, labels=beside)
    shade = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": list(_RAMP)},
        "legend": None,
    }
    colour = {"condition": {"test": "datum.share > 0.55", "value": "white"}, "value": style.INK}
    framed = [{"down": n, "across": order.index(_right(task))} for n, task in enumerate(tasks)]
    return {
        "width": step * len(order),
        "height": step * len(tasks),
        "data": {"values": values},
        "layer": [
            style.panel_title(title, step * len(order)),
            {
                "mark": "rect",
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": shade,
                    "tooltip": style.tooltip("task", "verdict", "images", "share"),
                },
            },
            {
                "data": {"values": framed},
                "mark": {"type": "rect", "filled": False, "stroke": style.INK, "strokeWidth": 1},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "text", "fontSize": min(style.SMALL, 0.55 * step)},
                "encoding": {"x": x, "y": y, "text": {"field": "images", "type": "quantitative"}, "color": colour},
            },
        ],
    }


def _cells(
    part: pd.DataFrame, columns: Mapping[str, str], tasks: Sequence[str], order: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the cells that have images, with their positions."""
    part = part.assign(verdict=part.verdict.map(columns), of=part.groupby("task")["images"].transform("sum"))
    summed = part.groupby(["task", "verdict", "of"], sort=False)["images"].sum().reset_index()
    return [
        {
            "task": row["task"],
            "verdict": row["verdict"],
            "images": int(row["images"]),
            "share": style.number(row["images"] / row["of"]),
            "across": order.index(row["verdict"]),
            "down": tasks.index(row["task"]),
        }
        for row in summed.to_dict("records")
    ]
