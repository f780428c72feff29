"""What a figure shows of a run: the rows, tasks and scores that were asked for, or why it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restorebench import CLEAN, RestorebenchError, UnknownName, nearest
from restorebench.toolbox.counts import counted
from restorebench.toolbox.synthesis import PERFECT

if TYPE_CHECKING:
    import pandas as pd

AVERAGES = ("average", "average-captured")
FAMILIES = ("blind", "told", "yardstick")
"""Rows are compared within these, and shown in this order."""


@dataclass(frozen=True)
class Place:
    """A task of a dataset, or an average. title: names the dataset where a task has several."""

    task: str
    dataset: str
    title: str


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard. name: NAME, or NAME:TELL. key: its restorer and what it is told."""

    name: str
    family: str
    key: tuple[str, str]
    is_identity: bool


def places(tables: Any, task: str | None, averages: bool = False) -> list[Place]:
    """Return the tasks of a run in order, without clean images; with a task, only that.

    averages: whether averages count too.

    Raises:
        UnknownName: the run has no such task.
    """
    frame = tables.leaderboard
    every = list(dict.fromkeys(zip(frame.task, frame.dataset, strict=True)))
    known = [(of, dataset) for of, dataset in every if averages or of not in AVERAGES]
    found = [(of, dataset) for of, dataset in known if (of == task if task else of != CLEAN)]
    if not found:
        names = list(dict.fromkeys(of for of, _ in known))
        raise UnknownName(f"no task {task!r}{nearest(str(task), names)}; it has {', '.join(names)}")
    several = len({of for of, _ in found}) < len(found)
    return [Place(of, dataset, f"{of} ({dataset})" if several else of) for of, dataset in found]


def rows(tables: Any, names: Sequence[str]) -> list[Row]:
    """Return the rows of a run, by family; with names, only those, in the order given.

    Raises:
        UnknownName: the run has no such row.
        RestorebenchError: a row is named twice.
    """
    cells: dict[str, Any] = {}
    for cell in tables.board.cells:
        cells.setdefault(cell.name, cell)
    ordered = sorted(cells, key=lambda name: FAMILIES.index(cells[name].family))
    for name in names:
        if name not in cells:
            raise UnknownName(f"no row {name!r}{nearest(name, ordered)}; it has {', '.join(ordered)}")
        if names.count(name) > 1:
            raise RestorebenchError(f"row {name!r} is named twice; name it once")
    return [_row(cells[name]) for name in (names or ordered)]


def _row(cell: Any) -> Row:
    identity = cell.plugin == "identity" and cell.tell == "nothing"  # it returns its input
    return Row(cell.name, str(cell.family), (cell.restorer, cell.tell), identity)


def means(tables: Any, column: str) -> dict[tuple[str, str, str], float]:
    """Return the mean score by task, dataset and row; a row with failures has none, as it is over fewer images."""
    names = {(cell.restorer, cell.tell): cell.name for cell in tables.board.cells}
    return {
        (row["task"], row["dataset"], names[row["restorer"], row["tell"]]): float(row[column])
        for row in tables.leaderboard.to_dict("records")
        if row[column] is not None and row[column] == row[column] and not row["incomplete"]
    }


def image_scores(tables: Any, column: Any) -> pd.DataFrame:
    """Return task, dataset, row, sample, kind and score of every scored image: means over repetitions.

    Infinite decibels are the highest value that counts in a mean, as in the leaderboard.
    """
    names = {(cell.restorer, cell.tell): cell.name for cell in tables.board.cells}
    frame = tables.records
    frame = frame[(frame.status == "ok") & frame[column.name].notna()]
    frame = frame.assign(
        row=[names[key] for key in zip(frame.restorer, frame.tell, strict=True)],
        score=frame[column.name].astype(float).clip(upper=PERFECT if column.unit == "dB" else None),
    )
    key = ["task", "dataset", "row", "sample", "kind"]
    return frame.groupby(key, sort=False)["score"].mean().reset_index()


def counts(tables: Any, shown: Sequence[Place]) -> str:
    """Say how many images of how many scenes the tasks have: `6 images of 6 scenes per task`."""
    tasks = [place for place in shown if place.task not in AVERAGES] or shown
    keys = {(place.task, place.dataset) for place in tasks}
    frame = tables.leaderboard
    frame = frame[[key in keys for key in zip(frame.task, frame.dataset, strict=True)]]
    texts = []
    for name, word in (("n_images", "image"), ("n_scenes", "scene")):
        low, high = int(frame[name].min()), int(frame[name].max())
        texts.append(counted(low, word) if low == high else f"{low} to {high} {word}s")
    return " of ".join(texts) + (" per task" if len(keys) > 1 else "")


def named_only(frame: pd.DataFrame, column: str, names: Sequence[str]) -> pd.DataFrame:
    """Keep the lines of the named detectors or tasks; all without names.

    Raises:
        UnknownName: there is no such detector or task.
    """
    known = list(dict.fromkeys(frame[column]))
    for name in names:
        if name not in known:
            raise UnknownName(f"no {column} {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    return frame[frame[column].isin(names)] if names else frame


def images_each(counts: pd.Series) -> str:
    """Say how many images each of several parts has: `6 images`, or `5 to 6 images`."""
    fewest, most = int(counts.min()), int(counts.max())
    return counted(most, "image") if fewest == most else f"{fewest} to {most} images"


def of_suite(tables: Any) -> str:
    """Name the suite and its version."""
    return f"{tables.board.suite} (version {tables.board.version})"


def in_unit(column: Any) -> str:
    """Name a column with its unit."""
    return f"{column.name} in {column.unit}" if column.unit else str(column.name)


def better(column: Any) -> str:
    """Say which direction of a column is the better one."""
    return "higher is better" if column.higher_is_better else "lower is better"


def left_out(what: Sequence[str], lacking: str = "scores") -> list[str]:
    """Return a note on what could not be drawn, the first six by name; none if nothing is left out."""
    shown = ", ".join(what[:6]) + (f" and {len(what) - 6} more" if len(what) > 6 else "")
    return [f"Left out, as {lacking} are missing: {shown}."] if what else []


def compared_notes(tables: Any, column: Any, shown: Sequence[Place], drawn: Sequence[Row]) -> Iterator[str]:
    """Say what a filled mark means and which of the rows drawn are not compared, or why none is."""
    letters = [tables.compared.letters(place.task, place.dataset, column.name) for place in shown]
    found = {name for each in letters for name in each}
    if not found:
        yield f"Nothing is compared: {_why_not(tables, column, shown)}."
        return
    text = "Filled marks: no row of the same family was shown to be better"
    text += f" ({tables.procedure['level']:.0%}, corrected for all pairs"
    text += ", also of rows that are not drawn)." if len(drawn) < len(rows(tables, ())) else ")."
    if alone := [row.name for row in drawn if row.name not in found]:
        text += f" Not compared: {', '.join(alone)}."
    yield text


def _why_not(tables: Any, column: Any, shown: Sequence[Place]) -> str:
    frame, fewest = tables.leaderboard, tables.procedure["fewest_scenes"]
    keys = {(place.task, place.dataset) for place in shown}
    here = [key in keys for key in zip(frame.task, frame.dataset, strict=True)]
    if not column.ranks:
        return f"{column.name} never ranks"
    if frame[here].n_scenes.max() < fewest:
        return f"there are fewer than {fewest} scenes"
    return "no family has two rows with all scores"
