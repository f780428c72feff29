"""Fill the marked blocks of Markdown files with the numbers of published boards.

A block is two lines of their own, and what is between them is replaced:

    <!-- generated from results/quickstart/4: scores psnr@rgb -->
    <!-- end -->

| kind | what it shows |
|---|---|
| `scores COLUMN` | the scores of all rows, a line per task, with `*` as in the table that a run prints |
| `row ROW` | score, gain over the input, harm rate and ranks of one row on each task |
| `detector DETECTOR` | how often a detector is right on each task, and its false alarms on clean images |
| `against-identity ROW` | on how many tasks a row is better and worse than its input, as a run prints it |
| `means COLUMN TASK ROW...` | the means of some rows on one task or average |

ROW is `NAME`, or `NAME:TELL`. Names with spaces are quoted as in a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from restorebench.cli.console import rows_of
from restorebench.cli.summary import against_identity
from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.publishing.checked import true_folder
from restorebench.publishing.page import plain
from restorebench.tables.build import Tables, tables_of
from restorebench.tables.leaderboard import gain_column
from restorebench.tables.matrix import by_place, matrix

_BEGIN, _END = "<!-- generated", "<!-- end -->"
_HEAD = re.compile(r"<!-- generated from (?P<folder>\S+): (?P<kind>\S+) (?P<names>.*) -->")
_FOLDER = re.compile(r"results/(?P<suite>[^/]+)/(?P<version>[^/]+)")


class Boards:
    """The published boards of a repository. root: its folder. catalog: the installed plugins."""

    def __init__(self, root: Path, catalog: Catalog) -> None:
        self._root = root
        self._catalog = catalog
        self._read: dict[str, Tables] = {}

    def filled(self, file: Path) -> str:
        """Return the text of a Markdown file with its blocks filled.

        Raises:
            RestorebenchError: a block is malformed, or asks for what its board does not have.
        """
        lines = file.read_text(encoding="utf-8").split("\n")
        found: list[str] = []
        while lines:
            line = lines.pop(0)
            found.append(line)
            if not line.lstrip().startswith(_BEGIN):
                continue
            head = line.lstrip()
            indent = line.removesuffix(head)
            end = next((n for n, each in enumerate(lines) if each.lstrip().startswith((_BEGIN, _END))), None)
            try:
                if end is None or lines[end] != indent + _END:
                    raise RestorebenchError(f"does not end; put `{_END}` below it, as far to the right")
                inside = ["", *self._inside(head), "", _END]
            except (RestorebenchError, ValueError) as error:
                raise RestorebenchError(f"{file}: block `{head}`: {error}") from error
            found += [(indent + each).rstrip() for each in inside]
            del lines[: end + 1]
        return "\n".join(found)

    def _inside(self, head: str) -> list[str]:
        """Return the lines that belong into a block."""
        asked = _HEAD.fullmatch(head)
        if asked is None:
            raise RestorebenchError(f"is not `{_BEGIN} from results/SUITE/VERSION: KIND NAME... -->`")
        kind, names = asked["kind"], shlex.split(asked["names"])
        if kind not in _KINDS:
            raise UnknownName(f"no kind {kind!r}{nearest(kind, _KINDS)}; there are {', '.join(_KINDS)}")
        fewest = {"means": 3}.get(kind, 1)
        if len(names) < fewest or (kind != "means" and len(names) > 1):
            raise RestorebenchError(f"{kind} takes {'COLUMN TASK ROW...' if fewest > 1 else 'one name'}")
        tables = self._tables(asked["folder"])
        if tables is None:
            return [f"*{plain(asked['folder'])} is not published yet.*"]
        return list(_KINDS[kind](tables, *names))

    def _tables(self, folder: str) -> Tables | None:
        """Return the tables of a board whose numbers follow from its records; None if it is not published yet.

        Raises:
            RestorebenchError: it is damaged, or it is not there and no suite has its name and version.
        """
        if folder in self._read:
            return self._read[folder]
        named, path = _FOLDER.fullmatch(folder), self._root / folder
        if named is None:
            raise RestorebenchError(f"{folder} is not of the form results/SUITE/VERSION")
        if not path.exists():
            suite = self._root / "suites" / f"{named['suite']}.yaml"
            version = yaml.safe_load(suite.read_text(encoding="utf-8"))["version"] if suite.is_file() else None
            if version != named["version"]:
                why = (
                    f"{suite.name} is not in suites" if version is None else f"{suite.name} has version {version}"
                )
                raise RestorebenchError(f"{folder} does not exist, and {why}; correct the block")
            return None
        published = true_folder(path, self._catalog)
        self._read[folder] = tables_of(published.board, published.cells, published.detections)
        return self._read[folder]


def _scores(tables: Tables, column: str) -> Iterator[str]:
    laid = matrix(tables, tables.board.column(column))
    rows = []
    for task, scores in zip(laid.tasks, laid.scores, strict=True):
        marks = (("!" if s.incomplete else "") + ("*" if s.best else "") + s.text if s else "-" for s in scores)
        rows.append([task, *marks])
    yield from _table(["task", *laid.names], rows)


def _row(tables: Tables, row: str) -> Iterator[str]:
    """Lay one row out. Its ranks are among the rows of its family, by the column that ranks first."""
    column = gain_column(tables.board)
    if column is None:
        raise RestorebenchError("the board has no PSNR, and so no gain")
    rows = []
    for task, fields in _tasks(tables, row).items():
        low, high = fields["rank_low"], fields["rank_high"]
        harmed = _within(fields, "harm_low", "harm_high", lambda share: f"{share:.0%}")
        rows.append(
            [
                task,
                str(fields["n_images"]),
                str(fields["n_scenes"]),
                _shown(fields[column.name], f".{column.decimals}f"),
                _shown(fields["gain"], f"+.{column.decimals}f"),
                _within(fields, "gain_low", "gain_high", lambda gain: f"{gain:+.{column.decimals}f}"),
                f"{_shown(fields['harm_rate'], '.0%')} ({harmed})" if harmed else "",
                "" if _missing(low) else f"{low}" if low == high else f"{low} to {high}",
            ]
        )
    unit = f", {column.unit}" if column.unit else ""
    head = [f"{column.name}{unit}", f"gain{unit}", "95 % interval", "images made worse", "rank"]
    yield from _table(["task", "images", "scenes", *head], rows)


def _tasks(tables: Tables, row: str) -> dict[str, Mapping[str, Any]]:
    """Return the lines of a row in the leaderboard, by task; with the dataset where there are several."""
    places = by_place(tables)
    known = {name for by_name in places.values() for name in by_name}
    if row not in known:
        raise UnknownName(f"no row {row!r}{nearest(row, known)}; it has {', '.join(sorted(known))}")
    several = len({dataset for _, dataset in places}) > 1
    return {
        f"{task} ({dataset})" if several else task: by_name[row]
        for (task, dataset), by_name in places.items()
        if row in by_name
    }


def _detector(tables: Tables, detector: str) -> Iterator[str]:
    frame = tables.detectors
    known = list(dict.fromkeys(frame.detector))
    if detector not in known:
        raise UnknownName(
            f"no detector {detector!r}{nearest(detector, known)}; it has {', '.join(known) or 'none'}"
        )
    several = frame.dataset.nunique() > 1
    rows = []
    for line in rows_of(frame[frame.detector == detector]):
        rows.append(
            [
                f"{line['task']} ({line['dataset']})" if several else str(line["task"]),
                str(line["images"]),
                str(line["n_scenes"]),
                _shown(line["top1"], ".1%"),
                _shown(line["accuracy"], ".1%"),
                _within(line, "accuracy_low", "accuracy_high", lambda share: f"{share:.0%}"),
                *(_shown(line[name], ".1%") for name in ("abstained", "false_alarm")),
                *(_shown(line[name], ".3f") for name in ("calibration_error", "brier")),
            ]
        )
    head = ["top1", "named rightly", "95 % interval", "abstained", "false alarms", "calibration error", "Brier"]
    yield from _table(["task", "images", "scenes", *head], rows)


def _against_identity(tables: Tables, row: str) -> Iterator[str]:
    said = against_identity(tables)
    if row not in said:
        raise UnknownName(
            f"no row {row!r}{nearest(row, said)} is compared with identity; it has {', '.join(said) or 'none'}"
        )
    yield f"`{row}: {said[row]}`"


def _means(tables: Tables, column: str, task: str, *rows: str) -> Iterator[str]:
    found, told = tables.board.column(column), []
    for row in rows:
        tasks = _tasks(tables, row)
        if task not in tasks:
            raise UnknownName(f"row {row} has no task {task!r}{nearest(task, tasks)}; it has {', '.join(tasks)}")
        told.append(
            f"`{row}` {_shown(tasks[task][found.name], f'.{found.decimals}f') or 'no'} {found.unit}".strip()
        )
    yield f"{found.name} on `{task}`: {', '.join(told)}."


_KINDS: Mapping[str, Callable[..., Iterator[str]]] = {
    "scores": _scores,
    "row": _row,
    "detector": _detector,
    "against-identity": _against_identity,
    "means": _means,
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, head))} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(map(plain, row))} |".replace("  ", " ")


def _within(fields: Mapping[str, Any], low: str, high: str, show: Callable[[float], str]) -> str:
    """Show an interval as `LOW to HIGH`; nothing where there is none."""
    return "" if _missing(fields[low]) else f"{show(fields[low])} to {show(fields[high])}"


def _shown(value: Any, form: str) -> str:
    return "" if _missing(value) else f"{value:{form}}"


def _missing(value: Any) -> bool:
    return bool(pd.isna(value))
