"""What the gallery page of a board needs: the images that were published, and their scores."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import numpy as np

from restorebench.publishing.layout import image_file
from restorebench.site.boards import SiteBoard
from restorebench.site.rows import json_number, place_label
from restorebench.tables.board import Column
from restorebench.tables.scored import DECIMALS, ScoredCell
from restorebench.toolbox.cells import visible

FILES = "files"
"""The folder below that of a board with the files that were published."""


def gallery_of(board: SiteBoard) -> dict[str, Any]:
    """Return the images of a board as JSON-ready data: by place, rows and samples with files and scores.

    Only the first repetition is shown. A sample of which fewer than two rows have an image is left out.
    """
    columns = [column for column in board.tables.board.columns if not column.unavailable]
    held: dict[tuple[str, str], list[ScoredCell]] = {}
    for cell in board.folder.cells:
        held.setdefault((cell.facts.dataset, cell.facts.task), []).append(cell)
    several = len({dataset for dataset, _ in held}) > 1
    published = set(board.files)
    places = [
        {"label": visible(place_label(task, dataset, several)), **_place(cells, columns, published)}
        for (dataset, task), cells in held.items()
    ]
    return {
        "columns": [
            {"name": visible(c.name), "unit": c.unit, "decimals": c.decimals, "higher": c.higher_is_better}
            for c in columns
        ],
        "places": [place for place in places if place["samples"]],
    }


def _place(cells: list[ScoredCell], columns: list[Column], published: set[str]) -> dict[str, Any]:
    samples = []
    of_cells = [_first_repetition(cell) for cell in cells]
    for number, sample in enumerate(cells[0].facts.samples):
        files = [_file(cell, sample.id, published) for cell in cells]
        if sum(file is not None for file in files) > 1:
            scores = [
                _scores(cell, record.get(number), columns) for cell, record in zip(cells, of_cells, strict=True)
            ]
            samples.append({"id": visible(sample.id), "files": files, "scores": scores})
    rows = [{"name": visible(cell.facts.name), "repetitions": cell.facts.repetitions} for cell in cells]
    return {"rows": rows, "samples": samples}


def _first_repetition(cell: ScoredCell) -> dict[int, int]:
    """Return the number of the record of the first repetition, by number of the sample."""
    outcomes = cell.outcomes
    return {int(outcomes.samples[n]): int(n) for n in np.flatnonzero(outcomes.repetitions == 0)}


def _file(cell: ScoredCell, sample: str, published: set[str]) -> str | None:
    name = image_file(cell.facts.dataset, cell.facts.task, cell.facts.name, sample, 0)
    return quote(f"{FILES}/{name}") if name in published else None


def _scores(cell: ScoredCell, record: int | None, columns: list[Column]) -> list[float | str | None]:
    if record is None:
        return [None] * len(columns)
    found = [cell.outcomes.scores.get(column.name) for column in columns]
    return [None if each is None else json_number(round(float(each[record]), DECIMALS)) for each in found]
