"""The tables that come from single images: records.csv, failures.csv and cost.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from restorebench.contract.tasks import composite
from restorebench.records import FAILED, OK, DetectionRecord
from restorebench.tables import leaderboard
from restorebench.tables.board import Board
from restorebench.tables.leaderboard import Row
from restorebench.tables.scored import Flags, Outcomes, ScoredCell

_IMAGE = ("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition")


def records_table(board: Board, cells: Sequence[ScoredCell]) -> pd.DataFrame:
    """List every record of every cell with its scores and status."""
    scores = [column.name for column in board.columns]
    columns = [*_IMAGE, "restorer", "tell", "told", *scores, "status", "reason", "digest"]
    held = [cell for cell in cells if len(cell.outcomes)]
    if not held:
        return pd.DataFrame(columns=columns)
    lengths = [len(cell.outcomes) for cell in held]
    same = [leaderboard.identity(board, cell.facts) | {"digest": cell.facts.digest} for cell in held]
    parts = [_records(board, cell) for cell in held]
    together = {name: np.repeat(_objects(each[name] for each in same), lengths) for name in same[0]}
    together |= {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    return pd.DataFrame({name: together[name] for name in columns}, copy=False)


def _records(board: Board, cell: ScoredCell) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of records.csv in which the records of a cell differ."""
    outcomes, samples = cell.outcomes, cell.facts.samples
    reasons = np.full(len(outcomes), "", dtype=object)
    for record, why in outcomes.failures.items():
        reasons[record] = str(why)
    blank = np.full(len(outcomes), np.nan)
    return (
        {
            name: _objects(getattr(sample, field) for sample in samples)[outcomes.samples]
            for name, field in (("sample", "id"), ("scene", "scene"), ("kind", "kind"))
        }
        | {"repetition": outcomes.repetitions, "reason": reasons}
        | {"told": _objects("" if told is None else composite(told) for told in outcomes.told)}
        | {"status": np.array([FAILED, OK], dtype=object)[outcomes.ok.astype(int)]}
        | {column.name: outcomes.scores.get(column.name, blank) for column in board.columns}
    )


def _objects(texts: Iterable[str]) -> np.ndarray[Any, Any]:
    return np.array(list(texts), dtype=object)


def failures_table(
    board: Board, cells: Sequence[ScoredCell], detected: Mapping[str, Mapping[str, DetectionRecord]]
) -> pd.DataFrame:
    """List what failed: restorations, metrics on restored images (named in `score`), and detections."""
    columns = [*_IMAGE, "restorer", "tell", "told", "score", "detector", "reason", "digest"]
    rows = [row for cell in cells for row in _failures(board, cell)]
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
    return pd.DataFrame(rows, columns=columns).astype({"repetition": "Int64"})


def _failures(board: Board, cell: ScoredCell) -> list[Row]:
    """Return a row for each image of a cell that was not restored, and for each score that failed."""
    outcomes = cell.outcomes
    broken = {int(record) for record in np.flatnonzero(~outcomes.ok)}
    rows: list[Row] = []
    for record in sorted(broken | outcomes.unscored.keys()):
        sample, told = cell.facts.samples[outcomes.samples[record]], outcomes.told[record]
        row = leaderboard.identity(board, cell.facts) | {
            "sample": sample.id,
            "scene": sample.scene,
            "kind": sample.kind,
            "repetition": int(outcomes.repetitions[record]),
            "told": "" if told is None else composite(told),
            "digest": cell.facts.digest,
        }
        if record in broken:
            rows.append(row | {"reason": str(outcomes.failures.get(record, ""))})
        failed = outcomes.unscored.get(record, {})
        rows += [row | {"score": column, "reason": str(why)} for column, why in failed.items()]
    return rows


_OTHER_CLOCK = ["method_seconds_per_image", "remark"]
_CLOCKS_SHARE, _CLOCKS_SECONDS = 0.2, 0.005


def cost_table(cells: Sequence[ScoredCell]) -> pd.DataFrame:
    """Return time and memory per cell; times are medians without the first group, which includes warming up.

    method_seconds_per_image is by the clock of the method's own process, as a check; older runs lack it.
    """
    columns = [
        *("task", "dataset", "restorer", "tell", "images", "seconds_per_megapixel", "seconds_per_image"),
        *("peak_mib", "parameters", "device", "threads", "batch_size", "fallback", "warm"),
    ]
    rows = []
    for cell in cells:
        outcomes, facts = cell.outcomes, cell.facts
        timed = outcomes.ok & ~np.isnan(outcomes.seconds)
        if not timed.any():
            continue
        warm = timed & outcomes.warm if (timed & outcomes.warm).any() else timed
        megapixels = np.where(outcomes.pixels > 0, outcomes.pixels / 1e6, np.nan)
        executions = {e for e in {outcomes.executions[n] for n in np.flatnonzero(timed)} if e is not None}
        peaks = outcomes.peak_mib[timed & ~np.isnan(outcomes.peak_mib)]
        rows.append(
            {
                "task": facts.task,
                "dataset": facts.dataset,
                "restorer": facts.restorer,
                "tell": facts.tell,
                "images": int(timed.sum()),
                "seconds_per_megapixel": pd.Series((outcomes.seconds / megapixels)[warm]).median(),
                "seconds_per_image": float(np.median(outcomes.seconds[warm])),
                "peak_mib": float(peaks.max()) if len(peaks) else None,
                "parameters": facts.parameters,
                "device": _joined(e.device for e in executions),
                "threads": _joined(e.threads for e in executions),
                "batch_size": _joined(e.batch_size for e in executions),
                "fallback": _joined(e.fallback for e in executions if e.fallback),
                "warm": bool((timed & outcomes.warm).any()),
                **_other_clock(outcomes, warm),
            }
        )
    columns += _OTHER_CLOCK if any(_OTHER_CLOCK[0] in row for row in rows) else []
    return pd.DataFrame(rows, columns=columns).astype({"parameters": "Int64"})


def _other_clock(outcomes: Outcomes, warm: Flags) -> dict[str, Any]:
    """Return the seconds by the method's own clock, and a remark if that disagrees with the host's."""
    inside = outcomes.inside[warm]
    if np.isnan(inside).all():
        return {}
    ours, its = float(np.median(outcomes.seconds[warm])), float(np.nanmedian(inside))
    disagree = abs(ours - its) > max(_CLOCKS_SHARE * max(ours, its), _CLOCKS_SECONDS)
    return {_OTHER_CLOCK[0]: its, _OTHER_CLOCK[1]: "the two clocks disagree" if disagree else ""}


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))
