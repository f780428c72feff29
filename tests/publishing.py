"""A made-up run, published as any run is: the files in a folder, and the tables that they were written from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from restorebench_reports.as_csv import Csv

from restorebench.records import DetectionRecord, Execution, Record
from restorebench.tables.board import Board, CellFacts, Column, DetectorCellFacts, Family, SampleFacts
from restorebench.tables.build import build
from restorebench.tables.reading import board_facts

PSNR, LPIPS = Column("psnr@rgb", True, 2, "dB"), Column("lpips@rgb", False, 4)
ROWS = {"identity": 0.0, "good": 3.0, "alike": 3.01, "good:task": 4.0}
"""By the name of a row, how much better it is than its input, in dB. A name with a colon is told something."""


def samples_of(scenes, severities):
    """Name the samples as the dataset `synthetic` does."""
    return tuple(
        SampleFacts(f"{n:02}@{severity}", f"scene{n}", "synthetic")
        for n in range(scenes)
        for severity in severities
    )


def cell_of(name, task, samples, dataset="d", yardsticks=()):
    """Describe a row on a task; a restorer called identity is it."""
    label, _, tell = name.partition(":")
    family = Family.YARDSTICK if name in yardsticks else Family.TOLD if tell else Family.BLIND
    digest = f"{name}-{task}-{dataset}"
    told = tell or "nothing"
    return CellFacts(label, label, told, task, dataset, "untrained", family, digest, f"row {digest}", samples)


def make(
    rows=ROWS,
    tasks=("rainy", "snowy", "hazy"),
    scenes=14,
    severities=(1, 3, 5),
    columns=(PSNR, LPIPS),
    detectors=("seer",),
    datasets=("d",),
    yardsticks=(),
    clean=True,
    seed=0,
    spread=0.3,
    change=lambda record: record,
    suite="made-up",
    version="1",
):
    """Return the board, the records and the detections of a made-up run. The arguments are those of `publish`."""
    rng = np.random.default_rng(seed)
    samples = samples_of(scenes, severities)
    cells = [
        cell_of(name, task, samples, dataset, yardsticks)
        for dataset in datasets
        for task in (*tasks, *(["clean"] if clean else []))
        for name in rows
    ]
    records = []
    for cell in cells:
        for sample in cell.samples:
            number, _, severity = sample.id.partition("@")
            value = 25 + 3 * np.sin(int(number)) - int(severity) + rows[cell.name] + rng.normal(0, spread)
            scores = {column.name: value if column.higher_is_better else 1 / value for column in columns}
            seconds = (2 + len(cell.name)) * 0.01
            done = Record(cell.digest, sample.id, 0, "ok", scores=scores, seconds=seconds, pixels=10_000)
            records.append(change(replace(done, execution=Execution("cpu", 1, 1))))
    watching = [
        DetectorCellFacts(name, task, datasets[0], f"{name}-{task}", samples)
        for name in detectors
        for task in (*tasks, "clean")
    ]
    answers = [
        DetectionRecord(cell.digest, sample.id, "ok", None, () if n % 3 else (tasks[0],), {tasks[0]: 0.5})
        for cell in watching
        for n, sample in enumerate(samples)
    ]
    board = Board(suite, version, tuple(tasks), tuple(columns), tuple(cells), tuple(watching))
    return board, [record for record in records if record is not None], answers


def publish(folder, rows=ROWS, **made):
    """Write the tables of a run and return them. made: what else `make` takes.

    change: is given every record, and may return None to drop it.
    """
    board, records, answers = make(rows, **made)
    tables = build(board, records, answers)
    folder.mkdir()
    Csv(None, None).write(tables, folder)
    manifest = {
        "suite": {"suite": board.suite, "version": board.version},
        "board": board_facts(board),
        "data": {f"{cell.dataset}/{cell.task}": "same" for cell in board.cells},
        "columns": {column.name: "same" for column in board.columns},
        "cells": [{"restorer": cell.restorer, "name": cell.plugin} for cell in board.cells],
        "detector_cells": [{"detector": cell.detector} for cell in board.detector_cells],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return tables
