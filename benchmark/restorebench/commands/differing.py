"""Find what changed between two runs, by cause, and which scores moved by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.commands.causes import Cause, ScorePlace, causes
from restorebench.contract.errors import RunFolderError
from restorebench.tables.reading import PublishedRun, read_run

if TYPE_CHECKING:
    import pandas as pd

    from restorebench.tables.scored import ScoredCell

_EQUAL = 0.5e-6  # scores are printed with six decimals
MOVED_COLUMNS = (
    *("dataset", "task", "row", "column", "before", "after", "change", "images", "images_moved"),
    *("largest", "sample", "because"),
)


@dataclass(frozen=True)
class Difference:
    """What `diff` found.

    causes: what is different in the two runs and can have moved a score that moved. beside: other differences.
    moved: one line for each row, task and column of which a score moved: its mean before and after, over the
    images that both runs have, how many images moved, and the one that moved most; `because` names the kinds of
    the causes and is empty if none is known. unmoved: how many such lines did not move. only_before, only_after:
    rows and columns that one run has alone.
    """

    causes: tuple[Cause, ...]
    beside: tuple[Cause, ...]
    moved: pd.DataFrame
    unmoved: int
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    @property
    def unexplained(self) -> pd.DataFrame:
        """The moved rows without a known cause."""
        return self.moved[self.moved.because == ""]


def diff(before: str | Path, after: str | Path) -> Difference:
    """Compare two runs: what is different in how they were made, and which scores moved.

    >>> found = diff("runs/noisy", "runs/another-seed")
    >>> [cause.what for cause in found.causes]
    ['seed', 'images of synthetic: noisy']
    >>> print(found.moved[["row", "column", "change", "because"]].round(3).to_string(index=False))
         row   column  change    because
    identity psnr@rgb   0.006 seed, data
    identity ssim@rgb   0.000 seed, data

    before, after: folders of runs, of which the tables suffice.

    Raises:
        RunFolderError: a folder holds no tables, or both are one.
    """
    if Path(before).resolve() == Path(after).resolve():
        raise RunFolderError(f"{before} is compared with itself; give the folders of two runs")
    first, second = read_run(Path(before)), read_run(Path(after))
    try:
        found = causes(first.manifest, second.manifest)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RunFolderError(
            f"{before} and {after}: a manifest.json lacks something ({type(error).__name__}: {error});"
            " `restorebench report FOLDER` writes it again"
        ) from error
    return _difference(first, second, found)


def _difference(first: PublishedRun, second: PublishedRun, found: Sequence[Cause]) -> Difference:
    import pandas as pd

    cells = [{_where(cell): cell for cell in run.cells} for run in (first, second)]
    columns = [[c.name for c in run.board.columns if not c.unavailable] for run in (first, second)]
    shared = [name for name in columns[0] if name in columns[1]]
    rows, unmoved = [], 0
    guilty: list[Cause] = []
    for where, cell in cells[0].items():
        for column in shared if where in cells[1] else ():
            row = _moved(cell, cells[1][where], column)
            if row is None:
                unmoved += 1
                continue
            reasons = _reasons(ScorePlace(*where, column), found)
            guilty += [cause for cause in reasons if cause not in guilty]
            rows.append(row | {"because": ", ".join(dict.fromkeys(cause.kind for cause in reasons))})
    # A protocol or metric that one run lacks moves no score: what it did is in the columns of one run alone.
    guilty += [
        c for c in found if c.kind in ("protocol", "metric") and c not in guilty and columns[0] != columns[1]
    ]
    return Difference(
        causes=tuple(cause for cause in found if cause in guilty),
        beside=tuple(cause for cause in found if cause not in guilty),
        moved=pd.DataFrame(rows, columns=list(MOVED_COLUMNS)),
        unmoved=unmoved,
        only_before=tuple(_alone(cells[0], cells[1], columns[0], columns[1])),
        only_after=tuple(_alone(cells[1], cells[0], columns[1], columns[0])),
    )


def _where(cell: ScoredCell) -> tuple[str, str, str]:
    return cell.facts.dataset, cell.facts.task, cell.facts.name


def _reasons(place: ScorePlace, found: Sequence[Cause]) -> list[Cause]:
    """Return the causes that can have moved a score; the machine and its packages only if there is no other."""
    reaching = [cause for cause in found if cause.reaches(place)]
    return [cause for cause in reaching if not cause.of_the_machine] or reaching


def _moved(one: ScoredCell, other: ScoredCell, column: str) -> dict[str, Any] | None:
    """Return how the scores of a row moved on the images that both runs have; None if none did."""
    held = [
        {sample.id: value for sample, value in zip(cell.facts.samples, cell.means(column), strict=True)}
        for cell in (one, other)
    ]
    pairs = {name: (held[0][name], held[1][name]) for name in held[0] if name in held[1]}
    changes = {name: after - before for name, (before, after) in pairs.items() if not _same(before, after)}
    if not changes:
        return None
    scored = [(before, after) for before, after in pairs.values() if before == before and after == after]
    means = [sum(each) / len(scored) for each in zip(*scored, strict=True)] if scored else [math.nan, math.nan]
    sizes = {name: abs(change) if change == change else math.inf for name, change in changes.items()}
    most = max(sizes, key=lambda name: sizes[name])
    dataset, task, row = _where(one)
    return {
        "dataset": dataset,
        "task": task,
        "row": row,
        "column": column,
        "before": means[0],
        "after": means[1],
        "change": means[1] - means[0],
        "images": len(pairs),
        "images_moved": len(changes),
        "largest": changes[most],
        "sample": most,
    }


def _same(before: float, after: float) -> bool:
    both_missing = before != before and after != after
    return both_missing or before == after or abs(before - after) < _EQUAL


def _alone(
    cells: dict[tuple[str, str, str], ScoredCell],
    others: dict[tuple[str, str, str], ScoredCell],
    columns: Sequence[str],
    other_columns: Sequence[str],
) -> Iterator[str]:
    """Name the rows, on the tasks where the other run lacks them, and the columns that one run has alone."""
    tasks: dict[str, list[str]] = {}
    for dataset, task, row in cells:
        if (dataset, task, row) not in others:
            tasks.setdefault(row, []).append(f"{task} of {dataset}")
    for row, lacking in tasks.items():
        everywhere = len(lacking) == sum(name == row for _, _, name in cells)
        yield f"row {row}" if everywhere else f"row {row} on {', '.join(lacking)}"
    yield from (f"column {name}" for name in columns if name not in other_columns)
