"""Records -> tables. The arithmetic of the leaderboard; no plugin can change it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from restorebench import detection, statistics
from restorebench.digests import digest
from restorebench.records import OK, Board, CellFacts, Column, DetectionRecord, DetectorCellFacts, Record
from restorebench.tasks import CLEAN, composite

CAP = 100.0
"""What an infinite PSNR counts as in a mean, in dB; a finite one above it too, or it would beat a perfect one."""
AVERAGE = "average"
CAPTURED = "average-captured"
EVERY_DATASET = "*"
"""The dataset of an average over tasks that come from several datasets."""
_RANK_DECIMALS = 6  # ranks compare what the CSV prints

Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as pandas frames. Only cost varies between equal runs."""

    board: Board
    leaderboard: pd.DataFrame
    records: pd.DataFrame
    detectors: pd.DataFrame
    labels: pd.DataFrame
    confusion: pd.DataFrame
    cost: pd.DataFrame
    failures: pd.DataFrame


@dataclass(frozen=True)
class _Cell:
    """A cell with what was found of it: per column, one value per scored sample with its scene.

    values: column -> sample -> mean over repetitions. capped: whether a value in them counts as CAP.
    """

    facts: CellFacts
    records: tuple[Record, ...]
    values: Mapping[str, Mapping[str, float]]
    capped: bool

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
        """Return the values of a column and their scenes, of all samples or of the captured ones."""
        found = self.values.get(column, {})
        chosen = [s for s in self.facts.samples if s.id in found and (not captured or s.kind == "captured")]
        return [found[s.id] for s in chosen], [s.scene for s in chosen]

    def mean(self, column: str, captured: bool = False) -> float | None:
        """Return the mean over samples; None where there is no value."""
        values, _ = self.scored(column, captured)
        return sum(values) / len(values) if values else None


def build(board: Board, records: Iterable[Record], detections: Iterable[DetectionRecord] = ()) -> Tables:
    """Build every table. The order of the records does not matter; the board's order is the tables'."""
    held: dict[str, dict[tuple[str, int], Record]] = defaultdict(dict)
    for record in records:
        held[record.digest][record.sample, record.repetition] = record
    decibels = {c.name for c in board.columns if c.unit == "dB" or c.name.startswith("psnr@")}
    cells = [_gather(facts, held[facts.digest], decibels) for facts in board.cells]
    heard: dict[str, dict[str, DetectionRecord]] = defaultdict(dict)
    for said in detections:
        heard[said.digest][said.sample] = said
    scores, labels, confusion = _detectors(board, heard)
    return Tables(
        board=board,
        leaderboard=_leaderboard(board, cells),
        records=_records(board, cells),
        detectors=scores,
        labels=labels,
        confusion=confusion,
        cost=_cost(cells),
        failures=_failures(board, cells, heard),
    )


def _gather(facts: CellFacts, held: Mapping[tuple[str, int], Record], decibels: set[str]) -> _Cell:
    wanted = [(sample.id, repetition) for sample in facts.samples for repetition in range(facts.repetitions)]
    found = tuple(held[key] for key in wanted if key in held)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    capped = False
    for record in found:
        for column, value in record.scores.items():
            if record.status == OK and value is not None:
                over = column in decibels and value > CAP
                capped = capped or over
                values[column][record.sample].append(CAP if over else value)
    means = {
        column: {sample: sum(several) / len(several) for sample, several in by_sample.items()}
        for column, by_sample in values.items()
    }
    return _Cell(facts, found, means, capped)


# ---------------------------------------------------------------- leaderboard


def _leaderboard(board: Board, cells: Sequence[_Cell]) -> pd.DataFrame:
    gains, ranks = _gains(board, cells), _ranks(board, cells)
    rows = [_row(board, cell, gains.get(id(cell)), ranks.get(id(cell))) for cell in cells]
    rows += _averages(board, cells, captured=False)
    kinds = {sample.kind for cell in cells if cell.facts.task != CLEAN for sample in cell.facts.samples}
    if "captured" in kinds and len(kinds) > 1:
        rows += _averages(board, cells, captured=True)
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
    if cell.capped:
        notes.append("capped")
    fallbacks = {r.execution.fallback for r in cell.records if r.execution and r.execution.fallback}
    if fallbacks:
        notes.append(f"fallback: {', '.join(sorted(fallbacks))}")
    if facts.yardstick:
        notes.append("yardstick")
    notes += facts.notes
    notes += [f"no {c.name}: {c.unavailable}" for c in board.columns if c.unavailable]
    worked = len({record.sample for record in cell.records if record.status == OK})
    for column in board.columns:
        if 0 < (scored := len(cell.values.get(column.name, ()))) < worked:
            notes.append(f"{column.name} of {scored} of {worked}")
    return "; ".join(notes) or "ok"


def _psnr(board: Board) -> Column | None:
    return next((column for column in board.columns if column.name.startswith("psnr@")), None)


def _gains(board: Board, cells: Sequence[_Cell], captured: bool = False) -> dict[int, float]:
    """Return PSNR minus identity's on the same images, of complete cells where identity is complete."""
    column = _psnr(board)
    if column is None:
        return {}
    means = {id(c): mean for c in cells if c.complete and (mean := c.mean(column.name, captured)) is not None}
    floors = {
        (cell.facts.dataset, cell.facts.task): means[id(cell)]
        for cell in cells
        if cell.facts.restorer == "identity" and cell.facts.tell == "nothing" and id(cell) in means
    }
    return {
        id(cell): means[id(cell)] - floors[place]
        for cell in cells
        if id(cell) in means and (place := (cell.facts.dataset, cell.facts.task)) in floors
    }


def _ranks(board: Board, cells: Sequence[_Cell], captured: bool = False) -> dict[int, int]:
    """Rank complete competitors of one task by the first column; ties share the better rank."""
    column = board.columns[0]
    rivals: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for cell in cells:
        values, scenes = cell.scored(column.name, captured)
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


def _averages(board: Board, cells: Sequence[_Cell], captured: bool) -> list[Row]:
    """Average each restorer over tasks, one row per dataset; of captured images, over the tasks that have any.

    Where every task has one dataset but not all the same, a dataset alone is no whole board: then one row
    spans them all, and its dataset is `*`.
    """
    entering = [cell for cell in cells if cell.facts.task != CLEAN]
    places = list(dict.fromkeys((cell.facts.dataset, cell.facts.task) for cell in entering))
    tasks = set(board.tasks)
    if captured:
        tasks = {c.facts.task for c in entering if any(s.kind == "captured" for s in c.facts.samples)}
    split = len({dataset for dataset, _ in places}) > 1 and len({task for _, task in places}) == len(places)
    groups: dict[tuple[str, str, str], list[_Cell]] = defaultdict(list)
    for cell in entering:
        dataset = EVERY_DATASET if split else cell.facts.dataset
        group = groups[dataset, cell.facts.restorer, cell.facts.tell]
        if cell.facts.task in tasks:
            group.append(cell)
    wanted = [task for task in board.tasks if task in tasks]
    gains, ranks = _gains(board, entering, captured), _ranks(board, entering, captured)
    return [
        _average_row(board, group, dataset, wanted, gains, ranks, captured)
        for (dataset, _, _), group in groups.items()
        if group
    ]


def _average_row(
    board: Board,
    group: Sequence[_Cell],
    dataset: str,
    tasks: Sequence[str],
    gains: Mapping[int, float],
    ranks: Mapping[int, int],
    captured: bool,
) -> Row:
    """Average one restorer over the wanted tasks; a task that is missing or incomplete blanks the numbers."""
    row = _average_facts(board, group, dataset, captured)
    held = {cell.facts.task for cell in group}
    holes = [cell.facts.task for cell in group if not cell.complete]
    lacking = dict.fromkeys([*(task for task in tasks if task not in held), *holes])
    notes = [f"{len(tasks)} of {len(board.tasks)} tasks"] if captured else []
    if lacking:
        notes.append(f"incomplete: {', '.join(lacking)}")
        notes += ["yardstick"] * any(cell.facts.yardstick for cell in group)
        return row | {"status": "; ".join(notes)}
    _put_means(board, row, group, captured)
    for name, known in (("gain", gains), ("rank", ranks)):
        if all(id(cell) in known for cell in group):
            row[name] = sum(known[id(cell)] for cell in group) / len(group)
    notes += [note for cell in group for note in _status(board, cell).split("; ") if note != "ok"]
    return row | {"status": "; ".join(dict.fromkeys(notes)) or "ok"}


def _average_facts(board: Board, group: Sequence[_Cell], dataset: str, captured: bool) -> Row:
    name = CAPTURED if captured else AVERAGE
    chosen = [
        {sample.id: sample.scene for sample in cell.facts.samples if not captured or sample.kind == "captured"}
        for cell in group
    ]
    broken = [{r.sample for r in cell.records if r.status != OK} for cell in group]
    return _identity(board, group[0].facts) | {
        "task": name,
        "dataset": dataset,
        "n_images": sum(len(scenes) for scenes in chosen),
        "n_scenes": len({scene for scenes in chosen for scene in scenes.values()}),
        "failed": sum(len(bad & set(scenes)) for bad, scenes in zip(broken, chosen, strict=True)),
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
    rows = [row for cell in cells for row in _record_rows(board, cell)]
    return pd.DataFrame(rows, columns=columns)


def _record_rows(board: Board, cell: _Cell) -> list[Row]:
    """Lay out the records of a cell: what identifies each, its scores and how it went."""
    facts = {sample.id: sample for sample in cell.facts.samples}
    rows = []
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
        rows.append(row | {column.name: record.scores.get(column.name) for column in board.columns})
    return rows


def _failures(
    board: Board, cells: Sequence[_Cell], heard: Mapping[str, Mapping[str, DetectionRecord]]
) -> pd.DataFrame:
    """List what failed, restorers first: a detector's failure has no restorer, tell or repetition."""
    columns = [
        *("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition"),
        *("restorer", "tell", "told", "detector", "reason", "digest"),
    ]
    rows = [row for cell in cells for row in _record_rows(board, cell) if row["status"] != OK]
    for detecting in board.detector_cells:
        said = heard.get(detecting.digest, {})
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
                "reason": said[sample.id].reason,
                "digest": detecting.digest,
            }
            for sample in detecting.samples
            if sample.id in said and said[sample.id].status != OK
        ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"repetition": "Int64"})


def _cost(cells: Sequence[_Cell]) -> pd.DataFrame:
    """Time and memory per cell: the median without the first group, which pays for warming up."""
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


def _detectors(
    board: Board, heard: Mapping[str, Mapping[str, DetectionRecord]]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Score every detector per task (and their average) and per label, and count its verdicts."""
    rows: list[Row] = []
    counted: list[Row] = []
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    answers: dict[tuple[str, str], list[tuple[str, list[DetectionRecord]]]] = defaultdict(list)
    for cell in board.detector_cells:
        said = [heard[cell.digest][s.id] for s in cell.samples if s.id in heard.get(cell.digest, {})]
        base = {"task": cell.task, "dataset": cell.dataset, "detector": cell.detector}
        scores = asdict(detection.score(cell.task, said))
        row = base | scores | {"status": _heard_status(cell, len(said)), "digest": cell.digest}
        rows.append(row)
        answers[cell.dataset, cell.detector].append((cell.task, said))
        if cell.task != CLEAN:
            groups[cell.dataset, cell.detector].append(row)
        counts = detection.confusion(said)
        counted += [base | {"verdict": name, "images": counts[name]} for name in sorted(counts)]
    for (dataset, detector), group in groups.items():
        rows.append(_detector_average(dataset, detector, group))
    labels = [
        {"dataset": dataset, "detector": detector} | asdict(scores)
        for (dataset, detector), tasks in answers.items()
        for scores in detection.by_label(tasks)
    ]
    names = [*("task", "dataset", "detector"), *_names(detection.Scores), *("status", "digest")]
    return (
        _numeric(pd.DataFrame(rows, columns=names), detection.Scores),
        _numeric(
            pd.DataFrame(labels, columns=["dataset", "detector", *_names(detection.LabelScores)]),
            detection.LabelScores,
        ),
        pd.DataFrame(counted, columns=["task", "dataset", "detector", "verdict", "images"]),
    )


def _names(kind: type[detection.Scores | detection.LabelScores]) -> list[str]:
    return [field.name for field in fields(kind)]


def _numeric(frame: pd.DataFrame, kind: type[detection.Scores | detection.LabelScores]) -> pd.DataFrame:
    """Make scores float even where a whole column is blank."""
    counts = {"label", "images", "failed", "present", "named"}
    return frame.astype({name: float for name in _names(kind) if name not in counts})


def _heard_status(cell: DetectorCellFacts, answered: int) -> str:
    if cell.skipped:
        return f"skipped: {cell.skipped}"
    missing = len(cell.samples) - answered
    return f"incomplete: {missing} of {len(cell.samples)} not run" if missing else "ok"


def _detector_average(dataset: str, detector: str, group: Sequence[Row]) -> Row:
    """Average a detector over its tasks; blank where a task was skipped or not run to its end."""
    row: Row = {"task": AVERAGE, "dataset": dataset, "detector": detector}
    lacking = [r["task"] for r in group if r["status"] != "ok"]
    for name in _names(detection.Scores):
        known = [r[name] for r in group if r[name] is not None]
        if name in {"images", "failed"}:
            row[name] = sum(known)
        elif known and not lacking:
            row[name] = sum(known) / len(known)
    row["status"] = f"incomplete: {', '.join(lacking)}" if lacking else "ok"
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
