"""Compare two rows of a run, or of two runs: who is better on what, by how much, and on which images not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN
from restorebench.tables import averages
from restorebench.tables.board import Board, Column, Family
from restorebench.tables.comparisons import Comparisons, compared, parts_of
from restorebench.tables.leaderboard import AVERAGE, ScoredCell
from restorebench.tables.pairwise import LEVEL, MIN_SCENES
from restorebench.tables.reading import PublishedRun, read_run
from restorebench.tables.tidy import PAIR_COLUMNS, compare_table, pair_rows

if TYPE_CHECKING:
    import pandas as pd

MOST_IMAGES = 3
"""How many images are named on which each of the two is ahead the most."""


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    a, b: names of the rows. column: what was compared by. family: the rows that share one error rate.
    pairs: a row per task and average, as in comparisons.csv, with a verdict in words.
    images: the images on which each is ahead the most. notes: what a reader must know beside. level: of intervals.
    """

    a: str
    b: str
    column: Column
    family: tuple[str, ...]
    pairs: pd.DataFrame
    images: pd.DataFrame
    notes: tuple[str, ...]
    level: float = LEVEL


def compare(
    a: str,
    b: str,
    run: str | Path,
    other_run: str | Path | None = None,
    *,
    task: str | None = None,
    metric: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """Compare row a with row b of a run, or row a of one run with row b of another.

    Two rows of one family have the p of their board, which is corrected for all pairs of the family. Rows of two
    families, or of two runs, are a family of their own.

    a, b: `NAME`, or `NAME:TELL` for a restorer that is told something. run, other_run: folders of runs. task: this
    task alone. metric: a column such as `ssim@rgb` or its metric; by default the first that ranks. margin: in the
    unit of the column; also say on which tasks a is not worse than b by more than this.

    Raises:
        RestorebenchError: a folder holds no tables, a name is not there, or the two have nothing in common.
    """
    first = read_run(Path(run))
    second = first if other_run is None else read_run(Path(other_run))
    column = _column(first, second, metric)
    if second is first:
        board, cells, notes, names = _in_one_run(first, a, b)
    else:
        board, cells, notes, names = _of_two_runs(first, second, a, b, column)
    board = replace(board, columns=(column,))
    every = compared(board, [*parts_of(cells), *averages.parts(board, cells)])
    family = next(cell.facts.family for cell in cells if cell.facts.name == names[0])
    pairs = _of_task(_pairs(every, family, names, margin), task)
    members = tuple(dict.fromkeys(cell.facts.name for cell in cells if cell.facts.family is family))
    images = _images(cells, names, column, None if task == AVERAGE else task)
    return Comparison(*names, column, members, pairs, images, notes)


def compare_in_table(
    a: str,
    b: str,
    table: str | Path,
    *,
    task: str | None = None,
    value: str = "value",
    margin: float | None = None,
    higher_is_better: bool = True,
) -> Comparison:
    """Compare two methods of a CSV file, whatever tool wrote it, among all methods of the file.

    table: has the columns method, scene and the one called `value`, and may have task and image, as
    `compare_table` takes them.

    Raises:
        RestorebenchError: the file cannot be read, or a column or a method is not there.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(table, dtype={"method": str, "scene": str, "task": str, "image": str})
    except (OSError, ValueError) as error:
        raise RestorebenchError(f"{table} cannot be read as CSV: {error}") from error
    task_column, image_column = (name if name in frame.columns else None for name in ("task", "image"))
    found = compare_table(
        frame,
        method="method",
        value=value,
        scene="scene",
        task=task_column,
        image=image_column,
        higher_is_better=higher_is_better,
    )
    names = tuple(sorted(set(frame.method)))
    for name in (a, b):
        if name not in names:
            raise UnknownName(f"{table} has no method {name!r}{nearest(name, names)}; it has {', '.join(names)}")
    column = Column(value, higher_is_better)
    rows = []
    for row in found.to_dict("records"):
        if {row["a"], row["b"]} == {a, b}:
            turned = _turned({"task": "all", "dataset": "", **{str(key): each for key, each in row.items()}}, a)
            rows.append(turned | {"verdict": _verdict(turned, column, margin)})
    pairs = _of_task(pd.DataFrame(rows, columns=["task", "dataset", *PAIR_COLUMNS, "verdict"]), task)
    return Comparison(a, b, column, names, pairs, pairs.iloc[:0], ())


def _of_task(pairs: pd.DataFrame, task: str | None) -> pd.DataFrame:
    """Keep the pairs of one task; None keeps all.

    Raises:
        UnknownName: there is no such task.
    """
    if task is None:
        return pairs
    known = list(dict.fromkeys(pairs.task))
    if task not in known:
        raise UnknownName(f"no comparison on {task!r}{nearest(task, known)}; there are {', '.join(known)}")
    return pairs[pairs.task == task]


def _column(first: PublishedRun, second: PublishedRun, metric: str | None) -> Column:
    """Return the column to compare by: one that both runs have, with the same code behind it."""
    known = {column.name: column for column in first.board.columns if not column.unavailable}
    name = metric or next((column.name for column in known.values() if column.ranks), "")
    if name not in known:
        there = ", ".join(known)
        raise UnknownName(f"{first.folder} has no column {name!r}{nearest(name, known)}; it has {there}")
    if first.digests.get(name) != second.digests.get(name):
        what = "was computed by other code" if name in second.digests else "is not there"
        raise RestorebenchError(f"{name} {what} in {second.folder}: the scores of the two runs cannot be compared")
    return known[name]


def _named(run: PublishedRun, name: str) -> list[ScoredCell]:
    """Return the cells of a row.

    Raises:
        UnknownName: the run has no such row.
    """
    found = [cell for cell in run.cells if cell.facts.name == name]
    if not found:
        known = list(dict.fromkeys(cell.facts.name for cell in run.cells))
        raise UnknownName(f"{run.folder} has no row {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return found


_Chosen = tuple[Board, Sequence[ScoredCell], tuple[str, ...], tuple[str, str]]
"""A board, its cells, notes, and the names of the two rows on it."""


def _in_one_run(run: PublishedRun, a: str, b: str) -> _Chosen:
    """Take the whole board where both rows are of one family, else the two rows as a family of their own."""
    one, other = _named(run, a), _named(run, b)
    if a == b:
        raise RestorebenchError(f"{a!r} is compared with itself; name two rows, or a second run")
    families = {one[0].facts.family, other[0].facts.family}
    if len(families) == 1:
        return run.board, run.cells, (), (a, b)
    note = f"{a} is {one[0].facts.family} and {b} is {other[0].facts.family}: the two are a family of their own"
    cells = [_alone(cell, cell.facts.name) for cell in run.cells if cell.facts.name in (a, b)]
    return run.board, cells, (note,), (a, b)


def _of_two_runs(first: PublishedRun, second: PublishedRun, a: str, b: str, column: Column) -> _Chosen:
    """Put a row of each run side by side, on the tasks and images that both have.

    Raises:
        RestorebenchError: there are none.
    """
    names = (a, b) if a != b else (f"{a} ({first.folder})", f"{b} ({second.folder})")
    notes = [f"two runs: {first.folder} and {second.folder}; the two rows are a family of their own"]
    others = {(cell.facts.dataset, cell.facts.task): cell for cell in _named(second, b)}
    cells: list[ScoredCell] = []
    for cell in _named(first, a):
        key = (cell.facts.dataset, cell.facts.task)
        if key not in others:
            notes.append(f"{key[1]} of {key[0]} is left out: it is not in {second.folder}")
            continue
        if first.data[f"{key[0]}/{key[1]}"] != second.data[f"{key[0]}/{key[1]}"]:
            notes.append(f"{key[1]} of {key[0]} is left out: the two runs have other images there")
            continue
        other = others[key]
        shared = {sample.id for sample in cell.facts.samples} & {sample.id for sample in other.facts.samples}
        cells += [_alone(cell, names[0], shared), _alone(other, names[1], shared)]
    if not cells:
        raise RestorebenchError("the two runs have no task with the same images: " + "; ".join(notes[1:]))
    return first.board, cells, tuple(notes), names


def _pairs(every: Comparisons, family: Family, names: tuple[str, str], margin: float | None) -> pd.DataFrame:
    """Lay the pair out for every task and average, a minus b, with a verdict."""
    import pandas as pd

    adjusted = every.over_tasks()
    rows = []
    for where, verdict in every.found.items():
        if where.family is family and not where.against_identity:
            for row in pair_rows(verdict, adjusted.get(where)):
                if {row["a"], row["b"]} == set(names):
                    rows.append({"task": where.task, "dataset": where.dataset, **_turned(row, names[0])})
    column = every.board.columns[0]
    for row in rows:
        row["verdict"] = _verdict(row, column, margin)
    return pd.DataFrame(rows, columns=["task", "dataset", *PAIR_COLUMNS, "verdict"])


def _alone(cell: ScoredCell, name: str, shared: Set[str] | None = None) -> ScoredCell:
    """Make a cell a row of a family of two. shared: the samples to keep; None keeps all."""
    facts = cell.facts
    kept = tuple(sample for sample in facts.samples if shared is None or sample.id in shared)
    moved = replace(facts, restorer=name, tell="nothing", family=Family.BLIND, samples=kept)
    held = {sample.id for sample in kept}
    return replace(cell, facts=moved, records=tuple(record for record in cell.records if record.sample in held))


def _turned(row: Mapping[str, Any], a: str) -> dict[str, Any]:
    """Return the figures of a pair with row a first."""
    if row["a"] == a:
        return dict(row)
    turned = {"a": row["b"], "b": row["a"], "difference": -row["difference"], "win_rate": 1 - row["win_rate"]}
    if row.get("low") is not None:
        turned |= {"low": -row["high"], "high": -row["low"]}
    return dict(row) | turned


def _verdict(row: Mapping[str, Any], column: Column, margin: float | None) -> str:
    """Say in words what a pair shows."""
    if row.get("p") is None or row["p"] != row["p"]:
        return f"too few scenes: {row['n_scenes']}, {MIN_SCENES} are needed"
    sign = 1 if column.higher_is_better else -1
    if row["separated"]:
        words = f"{row['a'] if sign * row['difference'] > 0 else row['b']} better"
    else:
        words = "identical" if row["p"] == 1 and row["difference"] == 0 else "no difference shown"
    if margin is not None:
        worst = row["low"] if column.higher_is_better else -row["high"]
        unit = f" {column.unit}" if column.unit else ""
        shown = "" if worst > -margin else "not shown to be "
        words += f"; {row['a']} {shown}not worse by more than {margin:g}{unit}"
    return words


def _images(cells: Iterable[ScoredCell], names: tuple[str, str], column: Column, task: str | None) -> pd.DataFrame:
    """Find the images on which each of the two rows is ahead the most."""
    import pandas as pd

    held = {(c.facts.dataset, c.facts.task, c.facts.name): c for c in cells if c.facts.name in names}
    rows = []
    for (dataset, of, name), one in held.items():
        other = held.get((dataset, of, names[1]))
        if name != names[0] or other is None or task not in (None, of) or of == CLEAN:
            continue
        scores = one.values.get(column.name, {}), other.values.get(column.name, {})
        rows += [
            (of, dataset, sample.id, scores[0][sample.id], scores[1][sample.id])
            for sample in one.facts.samples
            if sample.id in scores[0] and sample.id in scores[1]
        ]
    frame = pd.DataFrame(rows, columns=["task", "dataset", "sample", *"ab"])
    frame["difference"] = frame.a - frame.b
    frame = frame.iloc[(-frame.difference * (1 if column.higher_is_better else -1)).argsort(kind="stable")]
    ahead = frame.difference if column.higher_is_better else -frame.difference
    most = [frame[ahead > 0].head(MOST_IMAGES), frame[ahead < 0].tail(MOST_IMAGES)[::-1]]
    return pd.concat(most, ignore_index=True)
