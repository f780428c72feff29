"""The published tables of a run -> its board and scored cells again, without its data and plugins."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from restorebench.contract.errors import RunFolderError
from restorebench.records import FAILED, Failure, FailureKind, Record
from restorebench.tables.averages import CAPTURED
from restorebench.tables.board import Board, CellFacts, Column, Family, SampleFacts
from restorebench.tables.comparisons import PROCEDURE
from restorebench.tables.gathering import Gathering
from restorebench.tables.leaderboard import AVERAGE
from restorebench.tables.scored import ScoredCell, decibels, scored_cell
from restorebench.toolbox.cells import unguarded


@dataclass(frozen=True)
class PublishedRun:
    """A run as its tables tell it.

    data: a digest of the samples by `DATASET/TASK`. digests: of the columns, by name; they stand for the code of
    the metric and its protocol. detectors: their labels. manifest: the whole manifest.json.
    """

    folder: Path
    board: Board
    cells: tuple[ScoredCell, ...]
    data: Mapping[str, str]
    digests: Mapping[str, str]
    detectors: tuple[str, ...]
    manifest: Mapping[str, Any]


def board_facts(board: Board) -> dict[str, Any]:
    """Return what the manifest says of a board, which `read_run` makes it of again."""
    columns = {column.name: {k: v for k, v in asdict(column).items() if k != "name"} for column in board.columns}
    return {"tasks": list(board.tasks), "columns": columns, "comparisons": PROCEDURE}


def read_run(folder: Path) -> PublishedRun:
    """Read leaderboard.csv, records.csv, failures.csv and manifest.json of a run.

    Raises:
        RunFolderError: a file is missing, is damaged, or was written by an older version.
    """
    facts = _manifest(folder / "manifest.json")
    rows = read_table(
        folder / "leaderboard.csv", "task", "dataset", "restorer", "tell", "training", "family", "digest"
    )
    records = read_table(
        folder / "records.csv", "task", "dataset", "sample", "scene", "kind", "repetition", "status"
    )
    failures = read_table(
        folder / "failures.csv", "task", "dataset", "restorer", "tell", "sample", "score", "reason"
    )
    try:
        columns = tuple(Column(name, **about) for name, about in facts["board"]["columns"].items())
        names = {cell["restorer"]: cell["name"] for cell in facts["cells"]}
        cells = _cells(rows, records, failures, columns, names)
        suite = facts["suite"]
        board = Board(
            suite["suite"],
            suite["version"],
            tuple(facts["board"]["tasks"]),
            columns,
            tuple(c.facts for c in cells),
        )
        detectors = tuple(dict.fromkeys(cell["detector"] for cell in facts.get("detector_cells", ())))
        return PublishedRun(folder, board, cells, facts["data"], facts["columns"], detectors, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{folder}: its tables do not fit together ({type(error).__name__}: {error});"
            f" `restorebench report {folder}` writes them again"
        ) from error


def read_records(run: str | Path) -> pd.DataFrame:
    """Read the scores of every image of a run, a line each, from its records.csv.

    The columns of scores, such as `psnr@rgb`, are numbers, NaN where there is no score; `repetition` is a whole
    number; all else is text, as it was before it was made safe for spreadsheets. `compare_table` takes it.

    >>> records = read_records("runs/noisy")
    >>> print(records[["sample", "restorer", "psnr@rgb"]].head(3).round(2).to_string(index=False))
         sample restorer  psnr@rgb
    astronaut@3 identity     18.14
      chelsea@3 identity     17.48
       coffee@3 identity     18.37
    >>> noisy = records[records.task == "noisy"]
    >>> pairs = restorebench.compare_table(noisy, method="restorer", value="psnr@rgb", scene="scene")
    >>> print(pairs[["a", "b", "difference", "separated"]].round(2).to_string(index=False))
                 a        b  difference  separated
    airnet-compact identity        6.55       True

    run: the folder of a run.

    Raises:
        RunFolderError: a file is missing, is damaged, or was written by an older version.
    """
    folder = Path(run)
    scores = _manifest(folder / "manifest.json").get("columns", {})
    frame = read_table(
        folder / "records.csv", "task", "dataset", "sample", "scene", "restorer", "repetition", *scores
    )
    try:
        numbers = {name: frame[name].replace("", "nan").astype(float) for name in scores}
        return frame.assign(repetition=frame.repetition.astype(int), **numbers)
    except ValueError as error:
        raise RunFolderError(
            f"{folder / 'records.csv'}: {error}; `restorebench report {folder}` writes it again"
        ) from error


def _why(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({_why(error)}); give the folder of a finished run"
        ) from error
    if not isinstance(found, dict) or "board" not in found:
        again = f"`restorebench report {path.parent}` writes its tables again"
        raise RunFolderError(f"{path} was written by a version that compared nothing; {again}")
    return found


def read_table(path: Path, *needed: str) -> pd.DataFrame:
    """Read a CSV file as text.

    Raises:
        RunFolderError: it cannot be read, or lacks a column.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({_why(error)}); give the folder of a finished run"
        ) from error
    if lacking := [name for name in needed if name not in frame.columns]:
        again = f"`restorebench report {path.parent}` writes it again"
        raise RunFolderError(f"{path} has no column {lacking[0]!r}; {again}")
    return frame.map(unguarded)


def _cells(
    rows: pd.DataFrame,
    records: pd.DataFrame,
    failures: pd.DataFrame,
    columns: Sequence[Column],
    names: Mapping[str, str],
) -> tuple[ScoredCell, ...]:
    """Make the scored cells of a board, in the order of its rows. names: of restorers, by label."""
    key = ["dataset", "task", "restorer", "tell"]
    unscored: dict[tuple[str, ...], dict[str, Failure]] = defaultdict(dict)
    for row in failures[failures.score != ""].to_dict("records"):
        place = tuple(str(row[name]) for name in (*key, "sample", "repetition"))
        unscored[place][str(row["score"])] = Failure(FailureKind.ERROR, str(row["reason"]))
    samples = {
        where: tuple(SampleFacts(*each) for each in part[["sample", "scene", "kind"]].drop_duplicates().to_numpy())
        for where, part in records.groupby(["dataset", "task"], sort=False)
    }
    held: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for row in records.to_dict("records"):
        cell = tuple(str(row[name]) for name in key)
        held[cell].append(_record(row, columns, unscored[(*cell, str(row["sample"]), str(row["repetition"]))]))
    found = []
    for row in rows[~rows.task.isin([AVERAGE, CAPTURED])].to_dict("records"):
        cell = tuple(str(row[name]) for name in key)
        facts = CellFacts(
            restorer=cell[2],
            plugin=names[cell[2]],
            tell=cell[3],
            task=cell[1],
            dataset=cell[0],
            training=row["training"],
            family=Family(row["family"]),
            digest=held[cell][0].digest if held[cell] else row["digest"],
            row_digest=row["digest"],
            samples=_all_samples(samples.get(cell[:2], ()), int(row["n_images"])),
            columns=tuple(column.name for column in columns),
            repetitions=1 + max((record.repetition for record in held[cell]), default=0),
            skipped="" if held[cell] else "it has no records",
        )
        gathering = Gathering(facts.samples, facts.repetitions)
        for record in held[cell]:
            gathering.put(record)
        found.append(scored_cell(facts, gathering.outcomes(), decibels(columns)))
    return tuple(found)


def _all_samples(known: tuple[SampleFacts, ...], count: int) -> tuple[SampleFacts, ...]:
    """Return as many samples as a row has images: those that no row has a record of were not run yet."""
    return known + tuple(SampleFacts(f"(not run, {n})", "", "") for n in range(len(known), count))


def _record(row: Mapping[Hashable, Any], columns: Sequence[Column], unscored: Mapping[str, Failure]) -> Record:
    shown = {column.name: row.get(column.name, "") for column in columns}
    why = Failure(FailureKind.ERROR, row["reason"]) if row["status"] == FAILED else None
    return Record(
        row["digest"],
        row["sample"],
        int(row["repetition"]),
        row["status"],
        why,
        scores={name: float(text) if text else None for name, text in shown.items()},
        unscored=unscored,
    )
