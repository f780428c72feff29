"""Records -> tables. The arithmetic of the leaderboard; no plugin can change it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from restorebench import detection, statistics
from restorebench.digests import digest
from restorebench.records import OK, Board, CellFacts, Column, DetectionRecord, Record
from restorebench.tasks import CLEAN, composite

CAP = 100.0
"""What an infinite PSNR counts as in a mean, in dB."""
AVERAGE = "average"
CAPTURED = "average-captured"
_RANK_DECIMALS = 6  # ranks compare what the CSV prints

Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as pandas frames. Only cost varies between equal runs."""

    board: Board
    leaderboard: pd.DataFrame
    records: pd.DataFrame
    detectors: pd.DataFrame
    confusion: pd.DataFrame
    cost: pd.DataFrame
    failures: pd.DataFrame


@dataclass(frozen=True)
class _Cell:
    """A cell with what was found of it: per column, one value per scored sample with its scene."""

    facts: CellFacts
    records: tuple[Record, ...]
    values: Mapping[str, Mapping[str, float]]  # column -> sample -> mean over repetitions

    @property
    def complete(self) -> bool:
        return not self.facts.skipped and self.failed == 0 and self.missing == 0

    @property
    def failed(self) -> int:
        return len({record.sample for record in self.records if record.status != OK})

    @property
    def missing(self) -> int:
        expected = len(self.facts.samples) * self.facts.repetitions
        return expected - len(self.records)

    def scored(self, column: str, captured: bool = False) -> tuple[list[float], list[str]]:
        """Return the values of a column and their scenes, infinite ones capped."""
        found = self.values.get(column, {})
        chosen = [s for s in self.facts.samples if s.id in found and (not captured or s.kind == "captured")]
        return [min(found[s.id], CAP) for s in chosen], [s.scene for s in chosen]


def build(board: Board, records: Iterable[Record], detections: Iterable[DetectionRecord] = ()) -> Tables:
    """Build every table. The order of the records does not matter; the board's order is the tables'."""
    held: dict[str, dict[tuple[str, int], Record]] = defaultdict(dict)
    for record in records:
        held[record.digest][record.sample, record.repetition] = record
    cells = [_gather(facts, held[facts.digest]) for facts in board.cells]
    heard: dict[str, dict[str, DetectionRecord]] = defaultdict(dict)
    for said in detections:
        heard[said.digest][said.sample] = said
    scores, confusion = _detectors(board, heard)
    return Tables(
        board=board,
        leaderboard=_leaderboard(board, cells),
        records=_records(board, cells),
        detectors=scores,
        confusion=confusion,
        cost=_cost(cells),
        failures=_failures(board, cells, heard),
    )


def _gather(facts: CellFacts, held: Mapping[tuple[str, int], Record]) -> _Cell:
    wanted = [(sample.id, repetition) for sample in facts.samples for repetition in range(facts.repetitions)]
    found = tuple(held[key] for key in wanted if key in held)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in found:
        for column, value in record.scores.items():
            if record.status == OK and value is not None:
                values[column][record.sample].append(value)
    means = {
        column: {sample: sum(several) / len(several) for sample, several in by_sample.items()}
        for column, by_sample in values.items()
    }
    return _Cell(facts, found, means)


# ---------------------------------------------------------------- leaderboard


def _leaderboard(board: Board, cells: Sequence[_Cell]) -> pd.DataFrame:
    gains = {id(cell): gain for cell, gain in zip(cells, _gains(board, cells), strict=True)}
    ranks = _ranks(board, cells)
    rows = [_row(board, cell, gains[id(cell)], ranks.get(id(cell))) for cell in cells]
    rows += _averages(board, cells, gains, ranks)
    return pd.DataFrame(rows, columns=list(leaderboard_columns(board)))


def leaderboard_columns(board: Board) -> tuple[str, ...]:
    """Name the columns of leaderboard.csv, in order."""
    scores = [f"{c.name}{end}" for c in board.columns for end in ("", "_low", "_high")]
    return (
        *("suite", "suite_version", "task", "dataset", "restorer", "tell", "training"),
        *("n_images", "n_scenes", "failed"),
        *scores,
        *("gain", "rank", "status", "digest"),
    )


def _identity(board: Board, facts: CellFacts) -> Row:
    return {
        "suite": board.suite,
        "suite_version": board.version,
        "task": facts.task,
        "dataset": facts.dataset,
        "restorer": facts.restorer,
        "tell": facts.tell,
        "training": facts.training,
    }


def _row(board: Board, cell: _Cell, gain: float | None, rank: int | None) -> Row:
    facts = cell.facts
    row = _identity(board, facts) | {
        "n_images": len(facts.samples),
        "n_scenes": len({sample.scene for sample in facts.samples}),
        "failed": cell.failed,
    }
    for column in board.columns:
        values, scenes = cell.scored(column.name)
        if values:
            row[column.name] = sum(values) / len(values)
            seed = statistics.seed_from(digest(facts.row_digest, column.name))
            _put_interval(row, column.name, statistics.interval(values, scenes, seed))
    return row | {"gain": gain, "rank": rank, "status": _status(board, cell), "digest": facts.row_digest}


def _put_interval(row: Row, name: str, interval: statistics.Interval | None) -> None:
    row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)


def _status(board: Board, cell: _Cell) -> str:
    """Say all that a reader must know of a row; `ok` when there is nothing."""
    facts, total = cell.facts, len(cell.facts.samples)
    if facts.skipped:
        return f"skipped: {facts.skipped}"
    notes = []
    if cell.failed:
        notes.append(f"incomplete: {cell.failed} of {total} failed")
    if cell.missing:
        notes.append(f"incomplete: {cell.missing} of {total * facts.repetitions} not run")
    if any(math.isinf(value) for found in cell.values.values() for value in found.values()):
        notes.append("capped")
    fallbacks = {r.execution.fallback for r in cell.records if r.execution and r.execution.fallback}
    if fallbacks:
        notes.append(f"fallback: {', '.join(sorted(fallbacks))}")
    if facts.yardstick:
        notes.append("yardstick")
    notes += facts.notes
    notes += [f"no {c.name}: {c.unavailable}" for c in board.columns if c.unavailable]
    return "; ".join(notes) or "ok"


def _psnr(board: Board) -> Column | None:
    return next((column for column in board.columns if column.name.startswith("psnr@")), None)


def _gains(board: Board, cells: Sequence[_Cell]) -> list[float | None]:
    """Return PSNR minus identity's on the same images; None where identity is absent or incomplete."""
    column = _psnr(board)
    floors: dict[tuple[str, str], float] = {}
    for cell in cells:
        if column and cell.facts.restorer == "identity" and cell.facts.tell == "nothing" and cell.complete:
            values, _ = cell.scored(column.name)
            if values:
                floors[cell.facts.dataset, cell.facts.task] = sum(values) / len(values)
    gains: list[float | None] = []
    for cell in cells:
        floor = floors.get((cell.facts.dataset, cell.facts.task))
        values = cell.scored(column.name)[0] if column else []
        known = floor is not None and values and cell.complete
        gains.append(sum(values) / len(values) - floor if known and floor is not None else None)
    return gains


def _ranks(board: Board, cells: Sequence[_Cell]) -> dict[int, int]:
    """Rank complete competitors of one task by the first column; ties share the better rank."""
    column = board.columns[0]
    rivals: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for cell in cells:
        values, scenes = cell.scored(column.name)
        enough = len(set(scenes)) >= statistics.MIN_SCENES_FOR_RANK
        if cell.complete and not cell.facts.yardstick and enough:
            mean = round(sum(values) / len(values), _RANK_DECIMALS)
            rivals[cell.facts.dataset, cell.facts.task].append((id(cell), mean))
    sign = -1 if column.higher_is_better else 1
    return {
        name: 1 + sum(sign * other < sign * mean for _, other in group)
        for group in rivals.values()
        for name, mean in group
    }


def _averages(
    board: Board, cells: Sequence[_Cell], gains: Mapping[int, float | None], ranks: Mapping[int, int]
) -> list[Row]:
    """Average each restorer over the tasks of each dataset: all images, then the captured ones alone."""
    groups: dict[tuple[str, str, str], list[_Cell]] = defaultdict(list)
    for cell in cells:
        if cell.facts.task != CLEAN:
            groups[cell.facts.dataset, cell.facts.restorer, cell.facts.tell].append(cell)
    rows = [_average_row(board, group, gains, ranks) for group in groups.values()]
    kinds = {sample.kind for cell in cells for sample in cell.facts.samples}
    if "captured" in kinds and len(kinds) > 1:
        rows += [row for group in groups.values() if (row := _captured_row(board, group)) is not None]
    return rows


def _average_row(
    board: Board, group: Sequence[_Cell], gains: Mapping[int, float | None], ranks: Mapping[int, int]
) -> Row:
    held = {cell.facts.task for cell in group}
    missing = [task for task in board.tasks if task not in held]
    holes = [cell.facts.task for cell in group if not cell.complete]
    lacking = list(dict.fromkeys([*missing, *holes]))
    row = _average_facts(board, group, AVERAGE)
    row["failed"] = sum(cell.failed for cell in group)
    if lacking:
        row["status"] = f"incomplete: {', '.join(lacking)}"
        return row
    _put_means(board, row, group, captured=False)
    own_gains = [gains[id(cell)] for cell in group]
    own_ranks = [ranks.get(id(cell)) for cell in group]
    known_gains = [gain for gain in own_gains if gain is not None]
    known_ranks = [rank for rank in own_ranks if rank is not None]
    if len(known_gains) == len(group):
        row["gain"] = sum(known_gains) / len(group)
    if len(known_ranks) == len(group):
        row["rank"] = sum(known_ranks) / len(group)
    statuses = dict.fromkeys(_status(board, cell) for cell in group)
    notes = dict.fromkeys(note for text in statuses for note in text.split("; ") if note != "ok")
    row["status"] = "; ".join(notes) or "ok"
    return row


def _captured_row(board: Board, group: Sequence[_Cell]) -> Row | None:
    """Average over captured images alone, over the tasks that have any; None where a cell is incomplete."""
    chosen = [cell for cell in group if any(sample.kind == "captured" for sample in cell.facts.samples)]
    if not chosen or not all(cell.complete for cell in chosen):
        return None
    row = _average_facts(board, chosen, CAPTURED, captured=True)
    _put_means(board, row, chosen, captured=True)
    row["status"] = f"{len(chosen)} of {len(board.tasks)} tasks"
    return row


def _average_facts(board: Board, group: Sequence[_Cell], name: str, captured: bool = False) -> Row:
    samples = [
        sample for cell in group for sample in cell.facts.samples if not captured or sample.kind == "captured"
    ]
    return _identity(board, group[0].facts) | {
        "task": name,
        "n_images": len(samples),
        "n_scenes": len({sample.scene for sample in samples}),
        "failed": 0,
        "digest": digest(name, [cell.facts.row_digest for cell in group]),
    }


def _put_means(board: Board, row: Row, group: Sequence[_Cell], captured: bool) -> None:
    """Put the unweighted mean of task means, where every task has the column, with a joint interval."""
    for column in board.columns:
        tasks = [cell.scored(column.name, captured) for cell in group]
        if all(values for values, _ in tasks):
            row[column.name] = sum(sum(values) / len(values) for values, _ in tasks) / len(tasks)
            seed = statistics.seed_from(digest(row["digest"], column.name))
            _put_interval(row, column.name, statistics.average_interval(tasks, seed))


# ---------------------------------------------------------------- the other tables


def _records(board: Board, cells: Sequence[_Cell]) -> pd.DataFrame:
    names = [column.name for column in board.columns]
    columns = [
        *("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition"),
        *("restorer", "tell", "told"),
        *names,
        *("status", "reason", "digest"),
    ]
    rows = []
    for cell in cells:
        facts = {sample.id: sample for sample in cell.facts.samples}
        for record in cell.records:
            sample = facts[record.sample]
            row = _identity(board, cell.facts) | {
                "sample": record.sample,
                "scene": sample.scene,
                "kind": sample.kind,
                "repetition": record.repetition,
                "told": "" if record.told is None else composite(record.told),
                "status": record.status,
                "reason": record.reason,
                "digest": record.digest,
            }
            rows.append(row | {name: record.scores.get(name) for name in names})
    return pd.DataFrame(rows, columns=columns)


def _failures(
    board: Board, cells: Sequence[_Cell], heard: Mapping[str, Mapping[str, DetectionRecord]]
) -> pd.DataFrame:
    columns = ["task", "dataset", "sample", "repetition", "plugin", "tell", "reason"]
    rows: list[Row] = []
    for cell in cells:
        facts = cell.facts
        rows += [
            {
                "task": facts.task,
                "dataset": facts.dataset,
                "sample": record.sample,
                "repetition": record.repetition,
                "plugin": facts.restorer,
                "tell": facts.tell,
                "reason": record.reason,
            }
            for record in cell.records
            if record.status != OK
        ]
    for detecting in board.detector_cells:
        said = heard.get(detecting.digest, {})
        rows += [
            {
                "task": detecting.task,
                "dataset": detecting.dataset,
                "sample": sample.id,
                "repetition": 0,
                "plugin": detecting.detector,
                "tell": "",
                "reason": said[sample.id].reason,
            }
            for sample in detecting.samples
            if sample.id in said and said[sample.id].status != OK
        ]
    return pd.DataFrame(rows, columns=columns)


def _cost(cells: Sequence[_Cell]) -> pd.DataFrame:
    """Time and memory per cell: the median without the first group, which pays for warming up."""
    columns = [
        *("task", "dataset", "restorer", "tell", "images", "seconds_per_megapixel", "seconds_per_image"),
        *("peak_mib", "parameters", "device", "threads", "batch_size", "fallback", "warm"),
    ]
    rows = []
    for cell in cells:
        timed = [r for r in cell.records if r.status == OK and r.seconds is not None and r.execution]
        if not timed:
            continue
        warm = [record for record in timed if record.warm] or timed
        facts = cell.facts
        seconds = pd.Series([record.seconds for record in warm], dtype=float)
        megapixels = pd.Series([record.pixels / 1e6 for record in warm], dtype=float)
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
    return pd.DataFrame(rows, columns=columns)


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values}))


def _detectors(
    board: Board, heard: Mapping[str, Mapping[str, DetectionRecord]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every detector on every task, with averages over the tasks, and count its verdicts."""
    rows: list[Row] = []
    counted: list[Row] = []
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for cell in board.detector_cells:
        said = [heard[cell.digest][s.id] for s in cell.samples if s.id in heard.get(cell.digest, {})]
        base = {"task": cell.task, "dataset": cell.dataset, "detector": cell.detector}
        row = base | asdict(detection.score(cell.task, said)) | {"digest": cell.digest}
        rows.append(row)
        if cell.task != CLEAN:
            groups[cell.dataset, cell.detector].append(row)
        counts = detection.confusion(said)
        counted += [base | {"verdict": name, "images": counts[name]} for name in sorted(counts)]
    for (dataset, detector), group in groups.items():
        rows.append(_detector_average(dataset, detector, group))
    names = ["task", "dataset", "detector", *detection.Scores.__dataclass_fields__, "digest"]
    return (
        pd.DataFrame(rows, columns=names),
        pd.DataFrame(counted, columns=["task", "dataset", "detector", "verdict", "images"]),
    )


def _detector_average(dataset: str, detector: str, group: Sequence[Row]) -> Row:
    def mean(name: str) -> float | None:
        known = [row[name] for row in group if row[name] is not None]
        return sum(known) / len(known) if known else None

    row: Row = {"task": AVERAGE, "dataset": dataset, "detector": detector}
    for name in detection.Scores.__dataclass_fields__:
        row[name] = sum(r[name] for r in group) if name in {"images", "failed"} else mean(name)
    row["digest"] = digest(AVERAGE, [r["digest"] for r in group])
    return row


# ---------------------------------------------------------------- text


def printed(tables: Tables, board: Board) -> list[list[str]]:
    """Lay the leaderboard out for a terminal: a header, then a row per task, a column per restorer.

    A cell shows the first two metrics, `24.31 / 0.712`; `-` where there is no value, `!` after a row that is
    incomplete.
    """
    shown = board.columns[:2]
    frame = tables.leaderboard
    keys = list(dict.fromkeys(zip(frame.restorer, frame.tell, strict=True)))
    header = ["task (" + " / ".join(column.name for column in shown) + ")"]
    header += [name if tell == "nothing" else f"{name} [{tell}]" for name, tell in keys]
    lines = [header]
    many = frame.dataset.nunique() > 1
    for task, dataset in dict.fromkeys(zip(frame.task, frame.dataset, strict=True)):
        part = frame[(frame.task == task) & (frame.dataset == dataset)]
        by_key = {(row["restorer"], row["tell"]): row for _, row in part.iterrows()}
        title = f"{task} ({dataset})" if many else str(task)
        lines.append([title, *(_shown(by_key.get(key), shown) for key in keys)])
    return lines


def _shown(row: Any, columns: Sequence[Column]) -> str:  # Any: a row of a pandas frame
    if row is None:
        return "-"
    text = " / ".join(number(row[column.name], column.decimals) for column in columns)
    return text + ("!" if "incomplete" in row["status"] else "")


def number(value: Any, decimals: int) -> str:
    """Print a number with fixed decimals, `-` for none."""
    return "-" if value is None or pd.isna(value) else f"{value:.{decimals}f}"
