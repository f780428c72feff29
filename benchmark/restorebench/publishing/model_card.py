"""The evaluation results of a row as metadata of a model card, in the form that the Hugging Face Hub reads.

The form is `model-index` of https://github.com/huggingface/hub-docs/blob/main/modelcard.md. It has no field for an
interval or a protocol, so both are in the name of each metric; the interval is in its `args` too.
"""

from __future__ import annotations

from typing import Any

import yaml

from restorebench.contract.cards import MetricInfo
from restorebench.contract.errors import RestorebenchError
from restorebench.publishing.layout import CHECKSUMS
from restorebench.publishing.quoting import Line, Quoted
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Column
from restorebench.tables.leaderboard import AVERAGE
from restorebench.toolbox.files import file_digest

_TASK_TYPE = "image-to-image"


def model_card(quoted: Quoted, row: str, url: str | None = None) -> str:
    """Return the results of a row on every task as YAML, for the head of a model card.

    url: where the folder is published.

    Raises:
        UnknownName: there is no such row.
    """
    lines = [line for line in quoted.of_row(row) if line["task"] not in (AVERAGE, CAPTURED)]
    results = [result for line in lines if (result := _result(quoted, line, url))["metrics"]]
    index = [{"name": row, "results": results}]
    return yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True, width=1000)


def _result(quoted: Quoted, line: Line, url: str | None) -> dict[str, Any]:
    published = quoted.published
    board, data = published.board, f"{line['dataset']}/{line['task']}"
    columns = [column for column in board.columns if line.get(column.name) is not None]
    source = {"source": {"name": f"restorebench: {board.suite} {board.version}", "url": url}} if url else {}
    return {
        "task": {"type": _TASK_TYPE, "name": f"image restoration, {line['task']}"},
        "dataset": {
            "type": f"restorebench-{board.suite}",
            "name": f"{board.suite} (version {board.version}), {line['task']} of {line['dataset']}",
            "config": data,
            "split": "test",
            "revision": published.manifest["data"][data],
            "args": {"checksums": file_digest(published.path / CHECKSUMS)},
        },
        "metrics": [_metric(quoted, line, column) for column in columns],
        **source,
    }


def _metric(quoted: Quoted, line: Line, column: Column) -> dict[str, Any]:
    name, _, protocol = column.name.partition("@")
    low, high = (line[f"{column.name}{end}"] for end in ("_low", "_high"))
    interval = None if low is None else [round(float(low), 6), round(float(high), 6)]
    return {
        "type": name,
        "value": round(float(line[column.name]), 6),
        "name": ", ".join(filter(None, [column.name, _protocol(quoted, name, protocol), _told(column, interval)])),
        "config": protocol,
        "args": {
            key: value
            for key, value in {
                "interval_95": interval,
                "images": int(line["n_images"]),
                "scenes": int(line["n_scenes"]),
                "told": line["tell"],
                "status": line["status"],
                "digest": line["digest"],
            }.items()
            if value is not None
        },
    }


def _protocol(quoted: Quoted, metric: str, protocol: str) -> str:
    """Say in words how images are prepared for a metric; an empty string if the metric is not installed here."""
    try:
        card = quoted.catalog.find("metric", metric)
    except RestorebenchError:
        return ""
    found = card.protocol(protocol) if isinstance(card, MetricInfo) else None
    return found.summary if found else ""


def _told(column: Column, interval: list[float] | None) -> str:
    if interval is None:
        return ""
    low, high = (f"{end:.{column.decimals}f}" for end in interval)
    return f"95 % interval {low} to {high}"
