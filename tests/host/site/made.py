"""Published folders of made-up runs, written with the functions of `publish`; their numbers cost no run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import yaml
from PIL import Image
from restorebench_reports.as_csv import Csv

from restorebench.publishing import facts
from restorebench.publishing.layout import (
    CHECKSUMS,
    DETECTIONS,
    EXECUTIONS,
    MANIFEST,
    PAGE,
    SAMPLES,
    SCHEMA,
    SUITE,
    checksums,
    image_file,
)
from restorebench.tables.board import with_parameters
from restorebench.tables.build import tables_of
from restorebench.tables.gathering import gathered
from restorebench.tables.scored import scored_cells
from restorebench.toolbox.cells import csv_text
from tests.publishing import make

HOSTILE = "<script>alert(1)</script>\"'&amp;\u202e"
SMALL = {"tasks": ("rainy", "hazy"), "scenes": 8, "severities": (1, 3)}


def publish_made(results, *, images=2, captured=0, description="Made up.", about=None, **made):
    """Write a made-up run as `RESULTS/SUITE/VERSION`, and return that folder.

    images: how many samples of every task have images. captured: how many of its samples were captured. about:
    what the manifest says otherwise. made: what `tests.publishing.make` takes.
    """
    board, records, answers = make(**{**SMALL, **made})
    board = _with_captured(board, captured)
    board = with_parameters(board, {cell.digest: 1234567 for cell in board.cells if cell.restorer == "good"})
    cells = scored_cells(board, gathered(board, records))
    folder = results / board.suite.replace("/", "_") / board.version
    folder.mkdir(parents=True)
    Csv(None, None).write(tables_of(board, cells, answers), folder)
    (folder / SAMPLES).write_text(csv_text(facts.sample_lines(board)), newline="")
    (folder / EXECUTIONS).write_text(csv_text(facts.execution_lines(cells)), newline="")
    if board.detector_cells:
        (folder / DETECTIONS).write_text(csv_text(facts.detection_lines(board, answers)), newline="")
    suite = {"suite": board.suite, "version": board.version, "description": description, "tasks": [*board.tasks]}
    manifest = _manifest(board, suite) | (about or {})
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / SUITE).write_text(yaml.safe_dump(suite))
    (folder / PAGE).write_text("made up\n")
    _write_images(folder, board, images)
    seal(folder)
    return folder


def seal(folder):
    """Write the checksums of a folder, as after a change by whoever published it."""
    (folder / CHECKSUMS).write_text(checksums(folder))


def _with_captured(board, captured):
    def changed(cell):
        samples = [replace(s, kind="captured") if n < captured else s for n, s in enumerate(cell.samples)]
        return replace(cell, samples=tuple(samples))

    cells, detecting = (tuple(map(changed, held)) for held in (board.cells, board.detector_cells))
    return replace(board, cells=cells, detector_cells=detecting)


def _manifest(board, suite):
    return {
        "schema": SCHEMA,
        "suite": {"datasets": [{"name": "made-up"}], **suite},
        "tasks": list(board.tasks),
        "limit": None,
        "board": {},
        "facts": facts.board_json(board),
        "data": {},
        "columns": {column.name: "digest" for column in board.columns},
        "cells": [
            {
                "restorer": cell.restorer,
                "name": cell.plugin,
                "tell": cell.tell,
                "task": cell.task,
                "dataset": cell.dataset,
                "digest": cell.digest,
                "plugin": "made-up",
                "version": "1",
                "options": {"strength": 2},
            }
            for cell in board.cells
        ],
        "detector_cells": [
            {
                "detector": cell.detector,
                "name": cell.detector,
                "plugin": "made-up",
                "options": {},
                "resize": 1.0,
                "task": cell.task,
                "dataset": cell.dataset,
                "digest": cell.digest,
            }
            for cell in board.detector_cells
        ],
        "code": {},
        "versions": {},
        "images": {"samples": 1, "credits": [f"somebody {HOSTILE}"], "notes": []},
    }


def _write_images(folder, board, images):
    rng = np.random.default_rng(0)
    for cell in board.cells:
        for sample in cell.samples[:images]:
            file = folder / image_file(cell.dataset, cell.task, cell.name, sample.id, 0)
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(file, "WEBP", lossless=True)
