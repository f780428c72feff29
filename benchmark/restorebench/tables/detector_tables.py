"""Build the tables of detectors: scores per task and per label, and counts of verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import pandas as pd

from restorebench.contract.tasks import CLEAN
from restorebench.records import DetectionRecord
from restorebench.tables import detector_scores, intervals
from restorebench.tables.averages import spread
from restorebench.tables.board import Board, DetectorCellFacts
from restorebench.tables.leaderboard import AVERAGE, EVERY_DATASET, Row
from restorebench.tables.status import Flag, Status, status, together, unconfined
from restorebench.toolbox.digests import digest

_ACCURACY = ("n_scenes", "accuracy_low", "accuracy_high")


def detection_tables(
    board: Board, detected: Mapping[str, Mapping[str, DetectionRecord]]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Score every detector per task (and their average) and per label, and count its verdicts.

    An average is the mean over tasks, except for the calibration error, which is computed on the images of all
    tasks together. In a mean, tasks where a detector is too sure and tasks where it is not sure enough would never
    cancel.
    """
    rows: list[Row] = []
    counted: list[Row] = []
    groups: dict[tuple[str, str], list[tuple[Row, Status]]] = defaultdict(list)
    judged: dict[tuple[str, str], list[tuple[list[bool], list[str]]]] = defaultdict(list)
    sure: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
    answers: dict[tuple[str, str], list[tuple[str, list[DetectionRecord]]]] = defaultdict(list)
    split = spread((cell.dataset, cell.task) for cell in board.detector_cells if cell.task != CLEAN)
    for cell in board.detector_cells:
        records = [detected[cell.digest][s.id] for s in cell.samples if s.id in detected.get(cell.digest, {})]
        base = {"task": cell.task, "dataset": cell.dataset, "detector": cell.detector}
        scores = asdict(detector_scores.score(cell.task, records))
        told = _status_of(cell, len(records)) + unconfined(record.unconfined for record in records)
        scenes = {sample.id: sample.scene for sample in cell.samples}
        flags = [detector_scores.is_right(cell.task, r) for r in records], [scenes[r.sample] for r in records]
        row = base | scores | _accuracy([flags] if records else []) | {"status": str(told), "digest": cell.digest}
        rows.append(row)
        answers[cell.dataset, cell.detector].append((cell.task, records))
        if cell.task != CLEAN:
            group = EVERY_DATASET if split else cell.dataset, cell.detector
            groups[group].append((row, told))
            judged[group].append(flags)
            sure[group] += detector_scores.confidences(cell.task, records)
        counts = detector_scores.confusion(records)
        counted += [base | {"verdict": name, "images": counts[name]} for name in sorted(counts)]
    for key, held in groups.items():
        average = _average(board, *key, held)
        if average.get("calibration_error") is not None:
            average["calibration_error"] = detector_scores.calibration_error(sure[key])
        if average.get("accuracy") is not None:
            average |= _accuracy(judged[key])
        rows.append(average)
    names = [*("task", "dataset", "detector"), *_names(detector_scores.DetectorScores), *_ACCURACY]
    names += ["status", "digest"]
    return (
        _numeric(pd.DataFrame(rows, columns=names), detector_scores.DetectorScores),
        _label_table(answers),
        pd.DataFrame(counted, columns=["task", "dataset", "detector", "verdict", "images"]),
    )


def _label_table(
    answers: Mapping[tuple[str, str], Sequence[tuple[str, Sequence[DetectionRecord]]]],
) -> pd.DataFrame:
    """Score every label of every detector of a dataset, over all tasks."""
    rows = [
        {"dataset": dataset, "detector": detector} | asdict(scores)
        for (dataset, detector), tasks in answers.items()
        for scores in detector_scores.by_label(tasks)
    ]
    names = ["dataset", "detector", *_names(detector_scores.LabelScores)]
    return _numeric(pd.DataFrame(rows, columns=names), detector_scores.LabelScores)


def _accuracy(tasks: Sequence[tuple[Sequence[bool], Sequence[str]]]) -> Row:
    """Return the number of scenes and the interval of the accuracy, the unweighted mean over tasks."""
    if not tasks:
        return dict.fromkeys(_ACCURACY)
    _, low, high = intervals.share(tasks)
    return dict(zip(_ACCURACY, (len({name for _, scenes in tasks for name in scenes}), low, high), strict=True))


def _names(kind: type[detector_scores.DetectorScores | detector_scores.LabelScores]) -> list[str]:
    return [field.name for field in fields(kind)]


def _numeric(
    frame: pd.DataFrame, kind: type[detector_scores.DetectorScores | detector_scores.LabelScores]
) -> pd.DataFrame:
    """Make scores float, even if a whole column is blank."""
    counts = {"label", "images", "failed", "present", "named"}
    floats = {name: float for name in _names(kind) if name not in counts}
    ends = {name: float for name in ("accuracy_low", "accuracy_high") if name in frame.columns}
    return frame.astype(floats | ends | ({"n_scenes": "Int64"} if ends else {}))


def _status_of(cell: DetectorCellFacts, answered: int) -> Status:
    missing = len(cell.samples) - answered
    not_run = f"incomplete: {missing} of {len(cell.samples)} not run" if missing else ""
    return status(Flag.SHARE, cell.share) + status(Flag.INCOMPLETE, not_run)


def _average(board: Board, dataset: str, detector: str, held: Sequence[tuple[Row, Status]]) -> Row:
    """Average a detector over tasks. All scores are blank if a task is missing, one score if a task lacks it."""
    row: Row = {"task": AVERAGE, "dataset": dataset, "detector": detector}
    group = [each for each, _ in held]
    tasks = {each["task"] for each in group}
    incomplete = [each["task"] for each, told in held if told.has(Flag.INCOMPLETE)]
    lacking = dict.fromkeys([*(task for task in board.tasks if task not in tasks), *incomplete])
    told = status(Flag.SHARE, board.share) + together(told.only(Flag.SHARE) for _, told in held)
    told += status(Flag.INCOMPLETE, f"incomplete: {', '.join(lacking)}" if lacking else "")
    for name in _names(detector_scores.DetectorScores):
        known = [r[name] for r in group if r[name] is not None]
        if name in {"images", "failed"}:
            row[name] = sum(known)
        elif len(known) == len(group) and not lacking:
            row[name] = sum(known) / len(known)
        elif known and not lacking:
            told += status(Flag.NOTE, f"{name} of {len(known)} of {len(group)} tasks")
    row["status"] = str(told)
    row["digest"] = digest(AVERAGE, [r["digest"] for r in group])
    return row
