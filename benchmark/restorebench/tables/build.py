"""Build tables from records, in the order of the board, whatever the order of the records."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from restorebench.contract.tasks import composite
from restorebench.records import OK, DetectionRecord, Record
from restorebench.tables import averages, leaderboard
from restorebench.tables.board import Board
from restorebench.tables.comparisons import PROCEDURE, Comparisons, Part, compared, parts_of
from restorebench.tables.detector_tables import detection_tables
from restorebench.tables.leaderboard import Row, ScoredCell
from restorebench.tables.standings import standings
from restorebench.tables.status import RENDERED
from restorebench.tables.telling import regret_table, telling_table


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as pandas frames. Only cost varies between equal runs.

    leaderboard has two more columns than leaderboard.csv: `incomplete` and `yardstick`, true or false. The text of
    `status` says the same.
    """

    board: Board
    leaderboard: pd.DataFrame
    comparisons: pd.DataFrame
    compared: Comparisons
    telling: pd.DataFrame
    regret: pd.DataFrame
    records: pd.DataFrame
    detectors: pd.DataFrame
    labels: pd.DataFrame
    confusion: pd.DataFrame
    cost: pd.DataFrame
    failures: pd.DataFrame

    @property
    def procedure(self) -> Mapping[str, Any]:
        """How rows were compared: the level, the fewest scenes and so on, as in the manifest."""
        return PROCEDURE


def build(board: Board, records: Iterable[Record], detections: Iterable[DetectionRecord] = ()) -> Tables:
    """Build every table, in the order of the board. The order of the records does not matter."""
    held: dict[str, dict[tuple[str, int], Record]] = defaultdict(dict)
    for record in records:
        held[record.digest][record.sample, record.repetition] = record
    capped = leaderboard.decibels(board.columns)
    cells = [leaderboard.gather(facts, held[facts.digest], capped) for facts in board.cells]
    detected: dict[str, dict[str, DetectionRecord]] = defaultdict(dict)
    for detection in detections:
        detected[detection.digest][detection.sample] = detection
    averaged = averages.parts(board, cells)
    single = parts_of(cells)
    found = compared(board, [*single, *averaged])
    scores, labels, confusion = detection_tables(board, detected)
    return Tables(
        board=board,
        leaderboard=_leaderboard(board, cells, averaged, found),
        comparisons=found.frame(),
        compared=found,
        telling=telling_table(board, [*single, *averaged]),
        regret=regret_table(board, cells),
        records=_records(board, cells),
        detectors=scores,
        labels=labels,
        confusion=confusion,
        cost=_cost(cells),
        failures=_failures(board, cells, detected),
    )


def _leaderboard(
    board: Board, cells: Sequence[ScoredCell], averaged: Sequence[Part], found: Comparisons
) -> pd.DataFrame:
    standing = standings(found)
    rows = leaderboard.rows(board, cells, standing) + averages.rows(board, averaged, standing)
    frame = pd.DataFrame(rows, columns=[*leaderboard.columns(board), *RENDERED])
    return frame.astype(dict.fromkeys(("rank_low", "rank_high", "best_in"), "Int64"))


def _records(board: Board, cells: Sequence[ScoredCell]) -> pd.DataFrame:
    names = [column.name for column in board.columns]
    columns = [
        *("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition"),
        *("restorer", "tell", "told"),
        *names,
        *("status", "reason", "digest"),
    ]
    rows = [row for cell in cells for row in _record_rows(board, cell)]
    return pd.DataFrame(rows, columns=columns)


def _record_rows(board: Board, cell: ScoredCell) -> list[Row]:
    """Return one row per record of a cell, with its identity, scores and status."""
    facts = {sample.id: sample for sample in cell.facts.samples}
    rows = []
    for record in cell.records:
        sample = facts[record.sample]
        row = leaderboard.identity(board, cell.facts) | {
            "sample": record.sample,
            "scene": sample.scene,
            "kind": sample.kind,
            "repetition": record.repetition,
            "told": "" if record.told is None else composite(record.told),
            "status": record.status,
            "reason": record.reason,
            "digest": record.digest,
        }
        rows.append(row | {column.name: record.scores.get(column.name) for column in board.columns})
    return rows


def _failures(
    board: Board, cells: Sequence[ScoredCell], detected: Mapping[str, Mapping[str, DetectionRecord]]
) -> pd.DataFrame:
    """List what failed: restorations, metrics on restored images (named in `score`), and detections."""
    columns = [
        *("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition"),
        *("restorer", "tell", "told", "score", "detector", "reason", "digest"),
    ]
    rows: list[Row] = []
    for cell in cells:
        for record, row in zip(cell.records, _record_rows(board, cell), strict=True):
            if record.status != OK:
                rows.append(row)
            rows += [row | {"score": column, "reason": str(why)} for column, why in record.unscored.items()]
    for detecting in board.detector_cells:
        records = detected.get(detecting.digest, {})
        rows += [
            {
                "suite": board.suite,
                "suite_version": board.version,
                "task": detecting.task,
                "dataset": detecting.dataset,
                "sample": sample.id,
                "scene": sample.scene,
                "kind": sample.kind,
                "detector": detecting.detector,
                "reason": records[sample.id].reason,
                "digest": detecting.digest,
            }
            for sample in detecting.samples
            if sample.id in records and records[sample.id].status != OK
        ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"repetition": "Int64"})


def _cost(cells: Sequence[ScoredCell]) -> pd.DataFrame:
    """Return time and memory per cell; times are medians without the first group, which includes warming up."""
    columns = [
        *("task", "dataset", "restorer", "tell", "images", "seconds_per_megapixel", "seconds_per_image"),
        *("peak_mib", "parameters", "device", "threads", "batch_size", "fallback", "warm"),
    ]
    rows = []
    for cell in cells:
        timed = [r for r in cell.records if r.status == OK and r.seconds is not None]
        if not timed:
            continue
        warm = [record for record in timed if record.warm] or timed
        facts = cell.facts
        seconds = pd.Series([record.seconds for record in warm], dtype=float)
        megapixels = pd.Series([record.pixels / 1e6 or math.nan for record in warm], dtype=float)
        executions = [record.execution for record in timed if record.execution]
        rows.append(
            {
                "task": facts.task,
                "dataset": facts.dataset,
                "restorer": facts.restorer,
                "tell": facts.tell,
                "images": len(timed),
                "seconds_per_megapixel": float((seconds / megapixels).median()),
                "seconds_per_image": float(seconds.median()),
                "peak_mib": max((r.peak_mib for r in timed if r.peak_mib is not None), default=None),
                "parameters": facts.parameters,
                "device": _joined(e.device for e in executions),
                "threads": _joined(e.threads for e in executions),
                "batch_size": _joined(e.batch_size for e in executions),
                "fallback": _joined(e.fallback for e in executions if e.fallback),
                "warm": any(record.warm for record in timed),
            }
        )
    return pd.DataFrame(rows, columns=columns).astype({"parameters": "Int64"})


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))
