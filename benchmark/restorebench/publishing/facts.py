"""The facts of a board and the records of its cells, as the files of a published folder hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from restorebench.contract.tasks import components
from restorebench.records import FAILED, OK, DetectionRecord, Execution, Failure, FailureKind, Record, Values
from restorebench.tables.board import Board, CellFacts, Column, DetectorCellFacts, SampleFacts
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox.cells import guarded

Line = Mapping[str, str]
Samples = Mapping[tuple[str, str], tuple[SampleFacts, ...]]
"""By dataset and task."""

SAMPLE_COLUMNS = ("dataset", "task", "sample", "scene", "kind")
CELL_COLUMNS = ("task", "dataset", "restorer", "tell")
RECORD_COLUMNS = (*CELL_COLUMNS, "sample", "repetition", "told", "status", "reason", "digest")
EXECUTION_COLUMNS = (
    *(*CELL_COLUMNS, "sample", "repetition", "seconds", "pixels", "peak_mib", "warm"),
    *("device", "threads", "batch_size", "precision", "fallback", "batch_limit"),
)
NEWER_COLUMNS = ("unconfined", "instructions", "inside", "least", "greatest", "mean", "outside", "repeat")
"""Columns of executions.csv that folders of older versions do not have."""
DETECTION_COLUMNS = ("task", "dataset", "detector", "sample", "status", "reason", "labels")
_VALUES = ("least", "greatest", "mean", "outside")
_PROBABILITY = "probability of "


def board_json(board: Board) -> dict[str, Any]:
    """Return a board as JSON-ready data, without the samples of its cells."""
    facts = asdict(replace(board, cells=(), detector_cells=()))
    cells = [asdict(replace(cell, samples=())) for cell in board.cells]
    detecting = [asdict(replace(cell, samples=())) for cell in board.detector_cells]
    return facts | {"cells": cells, "detector_cells": detecting}


def board_from(facts: Any, samples: Samples) -> Board:
    """Return the board that `board_json` described. samples: of its cells.

    Raises:
        ValueError: the facts have another form; pydantic names the place.
    """
    board: Board = TypeAdapter(Board).validate_python(facts)
    cells = tuple(_with_samples(cell, samples) for cell in board.cells)
    return replace(
        board, cells=cells, detector_cells=tuple(_with_samples(c, samples) for c in board.detector_cells)
    )


def _with_samples(cell: Any, samples: Samples) -> Any:
    return replace(cell, samples=samples.get((cell.dataset, cell.task), ()))


def sample_lines(board: Board) -> list[list[str]]:
    """Return the samples of a board, a line each, below a line of names."""
    cells: tuple[CellFacts | DetectorCellFacts, ...] = (*board.cells, *board.detector_cells)
    held = {(cell.dataset, cell.task): cell.samples for cell in cells}
    lines = [
        [*where, sample.id, sample.scene, sample.kind] for where, samples in held.items() for sample in samples
    ]
    return [list(SAMPLE_COLUMNS), *_cells(lines)]


def samples_from(lines: Iterable[Line]) -> Samples:
    """Return what `sample_lines` wrote."""
    found: dict[tuple[str, str], list[SampleFacts]] = {}
    for line in lines:
        facts = SampleFacts(line["sample"], line["scene"], line["kind"])
        found.setdefault((line["dataset"], line["task"]), []).append(facts)
    return {where: tuple(samples) for where, samples in found.items()}


def execution_lines(cells: Sequence[ScoredCell]) -> list[list[str]]:
    """Return how each image was restored, a line each; records.csv is without it, as it differs by machine."""
    lines = [
        [*_place(cell, number), *_executed(cell, number)] for cell in cells for number in range(len(cell.outcomes))
    ]
    return [[*EXECUTION_COLUMNS, *NEWER_COLUMNS], *_cells(lines)]


def _place(cell: ScoredCell, number: int) -> list[Any]:
    facts, outcomes = cell.facts, cell.outcomes
    sample = facts.samples[outcomes.samples[number]].id
    return [facts.task, facts.dataset, facts.restorer, facts.tell, sample, int(outcomes.repetitions[number])]


def _executed(cell: ScoredCell, number: int) -> list[Any]:
    outcomes = cell.outcomes
    execution = outcomes.executions[number]
    how: list[Any] = [None] * 8
    if execution is not None:
        how = [
            *(execution.device, execution.threads, execution.batch_size, execution.precision),
            *(execution.fallback, execution.batch_limit, execution.unconfined, execution.instructions),
        ]
    held = (outcomes.seconds, outcomes.peak_mib, outcomes.inside, *outcomes.values.T, outcomes.repeats)
    seconds, peak, *rest = (None if np.isnan(each[number]) else float(each[number]) for each in held)
    return [seconds, int(outcomes.pixels[number]), peak, bool(outcomes.warm[number]), *how, *rest]


def _cells(lines: Iterable[Sequence[Any]]) -> list[list[str]]:
    """Write values as the cells of a CSV file; numbers so that they can be read back without loss."""
    return [
        [guarded(each) if isinstance(each, str) else "" if each is None else repr(each) for each in line]
        for line in lines
    ]


def records_from(
    records: Iterable[Line], executions: Iterable[Line], failures: Iterable[Line], columns: Sequence[Column]
) -> Iterator[Record]:
    """Return the records that records.csv, executions.csv and failures.csv tell of.

    Raises:
        ValueError, KeyError: a value has another form.
    """
    executed = {_key(line): line for line in executions}
    unscored: dict[tuple[str, ...], dict[str, Failure]] = {}
    for line in failures:
        if line["score"]:
            unscored.setdefault(_key(line), {})[line["score"]] = failure_from(line["reason"])
    for line in records:
        yield _record(line, executed.get(_key(line)), unscored.get(_key(line), {}), columns)


def _key(line: Line) -> tuple[str, ...]:
    return tuple(line[name] for name in (*CELL_COLUMNS, "sample", "repetition"))


def failure_from(reason: str) -> Failure:
    """Return the failure whose text a table shows.

    Raises:
        ValueError: it begins with no kind of failure.
    """
    kind, _, message = reason.partition(": ")
    return Failure(FailureKind(kind), message)


def _record(
    line: Line, executed: Line | None, unscored: Mapping[str, Failure], columns: Sequence[Column]
) -> Record:
    if line["status"] not in (OK, FAILED):
        raise ValueError(f"{line['status']!r} is no status of a record")
    scores = {column.name: float(text) if (text := line.get(column.name, "")) else None for column in columns}
    return Record(
        digest=line["digest"],
        sample=line["sample"],
        repetition=int(line["repetition"]),
        status=line["status"],
        failure=failure_from(line["reason"]) if line["reason"] else None,
        told=components(line["told"]) if line["told"] else None,
        scores=scores,
        unscored=unscored,
        **(_execution(executed) if executed else {}),
    )


def _execution(line: Line) -> dict[str, Any]:
    how = None
    if line["device"]:
        how = Execution(
            device=line["device"],
            threads=int(line["threads"]),
            batch_size=int(line["batch_size"]),
            precision=line["precision"],
            fallback=line["fallback"],
            batch_limit=int(line["batch_limit"]) if line["batch_limit"] else None,
            unconfined=line.get("unconfined") or None,
            instructions=line.get("instructions") or None,
        )
    return {
        "seconds": float(line["seconds"]) if line["seconds"] else None,
        "pixels": int(line["pixels"]),
        "peak_mib": float(line["peak_mib"]) if line["peak_mib"] else None,
        "inside": float(line["inside"]) if line.get("inside") else None,
        "values": Values(*(float(line[name]) for name in _VALUES)) if line.get(_VALUES[0]) else None,
        "repeat": float(line["repeat"]) if line.get("repeat") else None,
        "warm": line["warm"] == "True",
        "execution": how,
    }


def detection_lines(board: Board, detections: Iterable[DetectionRecord]) -> list[list[str]]:
    """Return the verdict of each detector on each image, a line each."""
    held = {(record.digest, record.sample): record for record in detections}
    labels = list(dict.fromkeys(label for record in held.values() for label in record.probabilities))
    lines = [
        [
            *(cell.task, cell.dataset, cell.detector, sample.id, record.status, record.reason),
            *("+".join(record.labels), record.unconfined),
            *(record.probabilities.get(label) for label in labels),
        ]
        for cell in board.detector_cells
        for sample in cell.samples
        if (record := held.get((cell.digest, sample.id))) is not None
    ]
    return [[*DETECTION_COLUMNS, "unconfined", *(_PROBABILITY + label for label in labels)], *_cells(lines)]


def detections_from(lines: Iterable[Line], board: Board) -> Iterator[DetectionRecord]:
    """Return what `detection_lines` wrote.

    Raises:
        ValueError, KeyError: a value has another form, or a line is of a detector that the board does not have.
    """
    digests = {(cell.task, cell.dataset, cell.detector): cell.digest for cell in board.detector_cells}
    for line in lines:
        yield DetectionRecord(
            digest=digests[line["task"], line["dataset"], line["detector"]],
            sample=line["sample"],
            status=line["status"],
            failure=failure_from(line["reason"]) if line["reason"] else None,
            labels=tuple(each for each in line["labels"].split("+") if each),
            probabilities={
                name.removeprefix(_PROBABILITY): _probability(text)
                for name, text in line.items()
                if name.startswith(_PROBABILITY) and text
            },
            unconfined=line.get("unconfined") or None,
        )


def _probability(text: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        ValueError: it is another one.
    """
    found = float(text)
    if not 0 <= found <= 1:
        raise ValueError(f"{text!r} is no probability from 0 to 1")
    return found
