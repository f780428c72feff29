"""What is printed when a run ends: the scores, who is best where that is known, and what to do next."""

from __future__ import annotations

import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from restorebench.cli.console import several
from restorebench.cli.grids import Grid, fitted, paragraphs
from restorebench.contract.tasks import CLEAN
from restorebench.tables.board import Family
from restorebench.tables.leaderboard import AVERAGE, gain_column
from restorebench.tables.matrix import Score, by_place, matrix, ordered
from restorebench.tables.pairwise import LEVEL, MIN_SCENES
from restorebench.tables.telling import DETECTOR_REGRET
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.tables.board import Column
    from restorebench.tables.build import Tables
    from restorebench.tables.reporting import Result

_MOST_REASONS = 4


def print_result(result: Result, every_column: bool = False, quiet: bool = False) -> None:
    """Print a result: a table per metric, what its marks mean, detectors, failures and the next command.

    quiet: print the tables and the failures alone.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    tables, board = result.tables, result.tables.board
    print(visible(f"{board.suite} (version {board.version})"))
    for column in board.columns if every_column else board.columns[:2]:
        arrow = "higher is better" if column.higher_is_better else "lower is better"
        print("\n" + visible(f"{column.name} {'↑' if column.higher_is_better else '↓'} ({arrow})"))
        print(fitted(grid(tables, column), width))
    lines = list(_failures(result))
    if not quiet:
        lines = [*_marks(tables), *_against_identity(tables), *_on_clean(tables), *_detectors(tables), *lines]
        lines += [f"tables: {result.folder / 'leaderboard.csv'} and the files beside it", *_next(result)]
    if lines:
        print("\n" + paragraphs([visible(line) for line in lines], width))


def grid(tables: Tables, column: Column) -> Grid:
    """Lay one metric out: a row per task, a column per row of the leaderboard.

    `*` marks every row that no row of its family was shown to be better than, `!` an incomplete row, `-` a missing
    value.
    """
    laid = matrix(tables, column)
    return Grid("", laid.tasks, laid.names, tuple(tuple(map(_cell, scores)) for scores in laid.scores))


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    # In front, so that the decimal points stand below each other.
    return ("!" if score.incomplete else "") + ("*" if score.best else "") + score.text


def _marks(tables: Tables) -> Iterator[str]:
    """Say what the marks in the tables stand for, and give the reason of each `!` and `-`."""
    rows = by_place(tables)
    members: dict[str, list[str]] = defaultdict(list)
    for name in ordered(tables):
        family = next(row[name]["family"] for row in rows.values() if name in row)
        members[family].append(name)
    tasks = {key: by_name for key, by_name in rows.items() if key[0] in tables.board.tasks}
    few = [task for (task, _), by_name in tasks.items() if _scenes(by_name) < MIN_SCENES]
    rivals = members[Family.BLIND]
    if len(few) < len(tasks) and len(rivals) > 1:
        yield (
            f"* no row was shown to be better on this task ({LEVEL:.0%}, corrected for all pairs of"
            f" {', '.join(rivals)})."
        )
    if few:
        some = len(few) < len(tasks)
        where = f" on {', '.join(dict.fromkeys(few))}" if some else ""
        averages = " Averages over such a task are not compared either." if some else ""
        yield f"Nothing is compared{where}: there are fewer than {MIN_SCENES} scenes.{averages}"
    if members[Family.TOLD]:
        yield f"Told the degradation, and compared among themselves: {', '.join(members[Family.TOLD])}."
    if members[Family.YARDSTICK]:
        yield f"Yardsticks, which saw the clean image: {', '.join(members[Family.YARDSTICK])}."
    yield from _reasons(tables)


def _scenes(by_name: Mapping[str, Mapping[str, Any]]) -> int:
    return min(int(row["n_scenes"]) for row in by_name.values())


def _reasons(tables: Tables) -> Iterator[str]:
    """Give the status of every row of a task that is not ok, each text once with the rows it is about."""
    about: dict[str, list[str]] = defaultdict(list)
    for (task, _), by_name in by_place(tables).items():
        for name, row in by_name.items():
            if task in (*tables.board.tasks, CLEAN) or (task == AVERAGE and row["incomplete"]):
                for text in str(row["status"]).split("; "):
                    if text not in ("ok", "capped", "yardstick"):
                        about[text].append(f"{name} on {task}")
    for text, rows in about.items():
        more = len(rows) - _MOST_REASONS
        shown = ", ".join(rows[:_MOST_REASONS]) + (f" and {more} more" if more > 0 else "")
        yield f"{text}: {shown}" if len(rows) < len(tables.board.cells) else text
    if tables.board.share:
        yield f"average: over {tables.board.share}"


def against_identity(tables: Tables) -> dict[str, str]:
    """Say per row on how many tasks it is better or worse than its input, and by how much on average."""
    frame = tables.comparisons
    frame = frame[frame.family.str.endswith(" against identity") & frame.separated.notna()]
    column = gain_column(tables.board)
    if column is None or frame.empty:
        return {}
    frame = frame[frame.column == column.name]
    found = {}
    for name in ordered(tables):
        part = frame[frame.a == name]
        tasks = part[part.task.isin(tables.board.tasks)]
        if len(tasks):
            better, worse = (int((tasks.separated & (sign * tasks.difference > 0)).sum()) for sign in (1, -1))
            average = part[part.task == AVERAGE]
            average = average if len(average) == 1 else average.iloc[:0]  # several datasets have an average each
            mean = (
                ""
                if average.empty
                else (
                    f"; average {average.difference.iloc[0]:+.2f} {column.unit}"
                    f" ({average.low.iloc[0]:+.2f} to {average.high.iloc[0]:+.2f})"
                )
            )
            found[name] = f"better on {better}, worse on {worse} of {counted(len(tasks), 'task')}{mean}"
    return found


def _against_identity(tables: Tables) -> Iterator[str]:
    """Say it of every row, where there is anything to say."""
    said, column = against_identity(tables), gain_column(tables.board)
    if said and column is not None:
        yield f"Against the input ({column.name}, corrected for the rows of each task):"
        yield from (f"  {name}: {text}" for name, text in said.items())


def _on_clean(tables: Tables) -> Iterator[str]:
    """Give the scores that only clean inputs have, such as the share of pixels that a restorer altered."""
    for column in tables.board.columns:
        scored = tables.leaderboard[tables.leaderboard[column.name].notna()]
        if scored.empty or set(scored.task) != {CLEAN}:
            continue
        by_dataset = {dataset: by_name for (task, dataset), by_name in by_place(tables).items() if task == CLEAN}
        for dataset, by_name in by_dataset.items():
            values = ((name, by_name[name][column.name]) for name in ordered(tables) if name in by_name)
            shown = [f"{name} {value:.{column.decimals}f}" for name, value in values if not _missing(value)]
            where = f" of {dataset}" if len(by_dataset) > 1 else ""
            better = "higher" if column.higher_is_better else "lower"
            yield f"{column.name} on clean images{where} ({better} is better): {', '.join(shown)}"


def _missing(value: Any) -> bool:
    return value is None or value != value


def _detectors(tables: Tables) -> Iterator[str]:
    """Say how often each detector is right, and how often it raises an alarm on clean images."""
    frame = tables.detectors
    averages = frame[frame.task == AVERAGE]
    several = averages.dataset.nunique() > 1
    for row in averages.to_dict("records"):
        clean = frame[(frame.detector == row["detector"]) & (frame.task == CLEAN)]
        clean = clean[clean.dataset == row["dataset"]] if len(clean) > 1 else clean
        alarm = (
            ""
            if clean.empty or _missing(clean.false_alarm.iloc[0])
            else (f", false alarms on {clean.false_alarm.iloc[0]:.0%} of clean images")
        )
        if not _missing(row["accuracy"]):
            interval = f"{row['accuracy_low']:.0%} to {row['accuracy_high']:.0%}"
            right = f"names the degradation of {row['accuracy']:.0%} ({interval}) of images"
            where = f" ({row['dataset']})" if several else ""
            yield f"detector {row['detector']}{where}: {right}{alarm}"
    yield from _regrets(tables)


def _regrets(tables: Tables) -> Iterator[str]:
    """Say what a restorer loses on average if a detector tells it the task; a random label shows what is much."""
    column = next((column for column in tables.board.columns if column.ranks), None)
    frame = tables.telling
    if column is None or frame.empty:
        return
    frame = frame[(frame.task == AVERAGE) & (frame.kind == DETECTOR_REGRET) & (frame.column == column.name)]
    several = frame.dataset.nunique() > 1
    for (dataset, restorer), part in frame.groupby(["dataset", "restorer"], sort=False):
        losses = (
            f"{name} {value:.{column.decimals}f}{column.unit and ' ' + column.unit}"
            for name, value in zip(part.detector, part.value, strict=True)
        )
        where = f" on {dataset}" if several else ""
        told = f"{restorer} told by a detector in place of the task loses on average{where} ({column.name})"
        yield f"{told}: {', '.join(losses)}"


def _failures(result: Result) -> Iterator[str]:
    """Say who failed on which tasks and why: a line for each reason, the most frequent first."""
    if not result.failed:
        return
    images: Counter[tuple[str, str]] = Counter()
    tasks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in result.tables.failures.to_dict("records"):
        who = row["restorer"] if isinstance(row["restorer"], str) else f"detector {row['detector']}"
        images[who, row["reason"]] += 1
        tasks[who, row["reason"]].append(f"{row['task']} / {row['sample']}")
    yield f"{counted(result.failed, 'failure')}:"
    for (who, reason), count in images.most_common(_MOST_REASONS):
        places = tasks[who, reason]
        where = places[0] if count == 1 else several(places, "image", 1)
        yield f"  {who} on {where}: {reason}"
    if len(images) > _MOST_REASONS:
        yield f"  and {counted(len(images) - _MOST_REASONS, 'other reason')}"
    yield f"all of them: {result.folder / 'failures.csv'}"


def _next(result: Result) -> Iterator[str]:
    """Name the commands that are of use after a run."""
    import shlex

    first = ordered(result.tables)[:2]
    folder = shlex.quote(str(result.folder))
    if len(first) == 2:
        yield f"next: restorebench compare {' '.join(map(shlex.quote, first))} {folder}"
