"""Compare two rows of a run, or of two runs: who is better on what, by how much, and on which images not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.commands import rows
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN
from restorebench.tables import averages, leaderboard
from restorebench.tables.board import Board, Column, Family
from restorebench.tables.comparisons import Comparisons, compared, parts_of
from restorebench.tables.families import Verdict
from restorebench.tables.leaderboard import AVERAGE
from restorebench.tables.pairwise import LEVEL, MIN_SCENES
from restorebench.tables.reading import read_run
from restorebench.tables.scored import ScoredCell
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
    sides: for a and b, the folder of its run and its name there; empty if there is no run. metric: as asked for.
    """

    a: str
    b: str
    column: Column
    family: tuple[str, ...]
    pairs: pd.DataFrame
    images: pd.DataFrame
    notes: tuple[str, ...]
    level: float = LEVEL
    sides: tuple[tuple[Path, str], ...] = ()
    metric: str | None = None


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

    >>> found = compare("airnet-compact", "identity", "runs/noisy", task="noisy")
    >>> print(found.pairs[["task", "difference", "low", "high", "verdict"]].round(2).to_string(index=False))
     task  difference  low  high               verdict
    noisy        6.55 5.88  7.23 airnet-compact better

    Two rows of one family have the p of their board, which is corrected for all pairs of the family. Rows of two
    families, or of two runs, are a family of their own.

    a, b: `NAME`, or `NAME:TELL` for a restorer that is told something. run, other_run: folders of runs. task: this
    task alone. metric: a column such as `ssim@rgb` or its metric; by default the first that ranks. margin: in the
    unit of the column; also say on which tasks a is not worse than b by more than this.

    Raises:
        RestorebenchError: a folder holds no tables, a name is not there, or the two have nothing in common.
    """
    first = read_run(Path(run))
    same = other_run is None or Path(other_run).resolve() == Path(run).resolve()
    second = first if same else read_run(Path(str(other_run)))
    column = rows.common_column(first, second, metric)
    if second is first:
        board, cells, notes, names = rows.in_one_run(first, a, b)
    else:
        board, cells, notes, names = rows.of_two_runs(first, second, a, b)
    board = replace(board, columns=(replace(column, ranks=True),))
    every = compared(board, [*parts_of(cells), *averages.parts(board, cells)])
    family = next(cell.facts.family for cell in cells if cell.facts.name == names[0])
    pairs = _of_task(_pairs(every, family, names, margin), task)
    notes = (*notes, *_left_out(board, cells, names, pairs, task))
    members = tuple(dict.fromkeys(cell.facts.name for cell in cells if cell.facts.family is family))
    images = _images(cells, names, column, None if task == AVERAGE else task)
    sides = ((first.folder, a), (second.folder, b))
    return Comparison(*names, column, members, pairs, images, notes, sides=sides, metric=metric)


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

    if a == b:
        raise RestorebenchError(f"{a!r} is compared with itself; name two methods")
    frame = _read_table(Path(table), value)
    task_column, image_column = (name if name in frame.columns else None for name in ("task", "image"))
    try:
        found = compare_table(
            frame,
            method="method",
            value=value,
            scene="scene",
            task=task_column,
            image=image_column,
            higher_is_better=higher_is_better,
        )
    except RestorebenchError as error:
        raise RestorebenchError(f"{table}: {error}") from error
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


def _read_table(table: Path, value: str) -> pd.DataFrame:
    """Read a table of scores of another tool; names are text, whatever they look like.

    Raises:
        RestorebenchError: it is no CSV file, or lacks the column method or scene.
    """
    import pandas as pd

    texts = {"method": str, "scene": str, "task": str, "image": str}
    try:
        frame = pd.read_csv(table, dtype=texts, keep_default_na=False, na_values={value: [""]})
    except (OSError, ValueError) as error:
        raise RestorebenchError(f"{table} cannot be read as CSV: {error}") from error
    for name in ("method", "scene"):
        if name not in frame.columns:
            raise RestorebenchError(f"{table} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    frame.index = pd.RangeIndex(2, len(frame) + 2)  # the lines of the file, where no text has a line end
    return frame


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


def _pairs(every: Comparisons, family: Family, names: tuple[str, str], margin: float | None) -> pd.DataFrame:
    """Lay the pair out for every task and average, a minus b, with a verdict."""
    import pandas as pd

    adjusted = every.over_tasks()
    found = []
    for where, verdict in every.found.items():
        if where.family is family and not where.against_identity:
            for row, half in zip(pair_rows(verdict, adjusted.get(where)), _joint(verdict), strict=True):
                if {row["a"], row["b"]} == set(names):
                    turned = _turned(row, names[0])
                    found.append({"task": where.task, "dataset": where.dataset, "joint": half, **turned})
    column = every.board.columns[0]
    for row in found:
        row["verdict"] = _verdict(row, column, margin)
    return pd.DataFrame(found, columns=["task", "dataset", *PAIR_COLUMNS, "verdict"])


def _joint(verdict: Verdict) -> list[float]:
    """Return half the width of the interval of every pair that holds for all pairs at once; NaN without one."""
    found = verdict.compared
    return [math.nan] * len(verdict.pairs) if found is None else (found.joint * found.error).tolist()


def _left_out(
    board: Board, cells: Sequence[ScoredCell], names: tuple[str, str], pairs: pd.DataFrame, task: str | None
) -> Iterator[str]:
    """Say of every task that has both rows and no comparison why that is so."""
    compared_on = set(zip(pairs.task, pairs.dataset, strict=True))
    rows = {(c.facts.task, c.facts.dataset, c.facts.name): c for c in cells if c.facts.name in names}
    for (of, dataset, name), cell in rows.items():
        if name == names[0] and of != CLEAN and task in (None, of) and (of, dataset) not in compared_on:
            other = rows.get((of, dataset, names[1]))
            why = {
                each.facts.name: str(leaderboard.status_of(board, each))
                for each in (cell, other)
                if each is not None
            }
            reasons = "; ".join(f"{who}: {text}" for who, text in why.items() if text != "ok")
            yield f"{of} is not compared: {reasons or f'{names[1]} has no row there'}"
    if task is None and len(pairs) and AVERAGE not in set(pairs.task):
        yield "there is no average: not every task is compared"


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
        if row["n_scenes"] < MIN_SCENES:
            return f"too few scenes: {row['n_scenes']}, {MIN_SCENES} are needed"
        return f"not compared: at least one of its tasks has fewer than {MIN_SCENES} scenes"
    sign = 1 if column.higher_is_better else -1
    if row["separated"]:
        words = f"{row['a'] if sign * row['difference'] > 0 else row['b']} better"
    else:
        words = "identical" if row["difference"] == 0 and row["sd"] == 0 else "no difference shown"
        if needed := row.get("scenes_needed"):
            more = "more than " if needed.startswith(">") else "about "
            words += f" ({more}{needed.lstrip('>')} scenes would decide)"
    if margin is not None:
        unit = f" {column.unit}" if column.unit else ""
        worst = sign * row["difference"] - row.get("joint", (row["high"] - row["low"]) / 2)
        shown = "is not worse" if worst > -margin else "may be worse"
        words += f"; {row['a']} {shown} by more than {margin:g}{unit}"
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
        scores = zip(one.facts.samples, one.means(column.name), other.means(column.name), strict=True)
        rows += [(of, dataset, sample.id, a, b) for sample, a, b in scores if a == a and b == b]
    frame = pd.DataFrame(rows, columns=["task", "dataset", "sample", *"ab"])
    frame["difference"] = frame.a - frame.b
    frame = frame.iloc[(-frame.difference * (1 if column.higher_is_better else -1)).argsort(kind="stable")]
    ahead = frame.difference if column.higher_is_better else -frame.difference
    most = [frame[ahead > 0].head(MOST_IMAGES), frame[ahead < 0].tail(MOST_IMAGES)[::-1]]
    return pd.concat(most, ignore_index=True)
