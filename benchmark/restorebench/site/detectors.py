"""The page of a detector: what its card says, its accuracy, and what it says of each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog
from restorebench.contract.tasks import CLEAN, components
from restorebench.records import OK
from restorebench.site import figures
from restorebench.site.boards import SiteBoard
from restorebench.site.cards import card_of
from restorebench.site.rows import number, place_label
from restorebench.tables.detector_scores import NONE
from restorebench.tables.leaderboard import AVERAGE

SHADES = 9
"""How many shades a cell of a confusion matrix may have beside none."""


@dataclass(frozen=True)
class Accuracy:
    """The scores of a detector on one task; None where there is nothing to judge."""

    task: str
    label: str
    images: int
    accuracy: float | None
    low: float | None
    high: float | None
    abstained: float | None
    false_alarm: float | None
    calibration_error: float | None
    status: str


@dataclass(frozen=True)
class Confusion:
    """Images by true task (rows) and verdict (columns).

    cells: counts, and shades from 0 to SHADES by their share of the row.
    right: by row, the number of the column that is the truth, or -1.
    """

    verdicts: tuple[str, ...]
    tasks: tuple[str, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]
    right: tuple[int, ...]


@dataclass(frozen=True)
class Reliability:
    """How often a detector is right at each predicted probability. bins: lines of the table `reliability`.

    images: the degraded ones that it was run on. judged: those of them with probabilities.
    several: whether the bins are of several datasets.
    """

    bins: tuple[Mapping[str, Any], ...]
    images: int
    judged: int
    several: bool
    figure: figures.Figure | None


@dataclass(frozen=True)
class Watching:
    """A detector, under one label of the suite, on one board."""

    board: SiteBoard
    label: str
    scores: tuple[Accuracy, ...]
    confusion: Confusion
    labels: tuple[Mapping[str, Any], ...]
    reliability: Reliability


@dataclass(frozen=True)
class Detector:
    """A detector on all boards. card: None where no plugin here has it."""

    name: str
    card: Card | None
    boards: tuple[Watching, ...]


@dataclass(frozen=True)
class Overall:
    """A detector on all tasks of one dataset of a board. name: of its page. false_alarm: on clean images."""

    name: str
    label: str
    dataset: str
    scores: Accuracy
    false_alarm: float | None


def overall(board: SiteBoard) -> list[Overall]:
    """Return what each detector of a board achieves on average, in the order of its suite."""
    names = {cell.detector: cell.name for cell in board.about.detector_cells}
    frame = board.tables.detectors
    alarms = {
        (line["detector"], line["dataset"]): number(line["false_alarm"])
        for line in frame[frame.task == CLEAN].to_dict("records")
    }
    averages = frame[frame.task == AVERAGE].to_dict("records")
    several = len({line["dataset"] for line in averages}) > 1
    return [
        Overall(
            names.get(line["detector"], line["detector"]),
            line["detector"],
            line["dataset"] if several else "",
            _accuracy(line, several),
            alarms.get((line["detector"], line["dataset"])),
        )
        for line in averages
    ]


def detectors_of(boards: Sequence[SiteBoard], catalog: Catalog) -> list[Detector]:
    """Return every detector of the boards, by name."""
    held: dict[str, list[Watching]] = {}
    for board in boards:
        names = {cell.detector: cell.name for cell in board.about.detector_cells}
        for label in dict.fromkeys(cell.detector for cell in board.tables.board.detector_cells):
            on = held.setdefault(names.get(label, label), [])
            on.append(_watching(board, label, catalog, len(on)))
    return [Detector(name, card_of(catalog, "detector", name), tuple(held[name])) for name in sorted(held)]


def _watching(board: SiteBoard, label: str, catalog: Catalog, before: int) -> Watching:
    """Return a detector on a board. before: how many boards come before it on the page."""
    frame = board.tables.detectors
    lines = frame[frame.detector == label].to_dict("records")
    several = len({line["dataset"] for line in lines}) > 1
    labels = board.tables.labels
    return Watching(
        board,
        label,
        tuple(_accuracy(line, several) for line in lines),
        _confusion(board, label, several),
        tuple(
            {
                str(name): number(value) if name in ("precision", "recall", "f1") else value
                for name, value in line.items()
            }
            for line in labels[labels.detector == label].to_dict("records")
        ),
        _reliability(board, label, catalog, before),
    )


def _reliability(board: SiteBoard, label: str, catalog: Catalog, before: int) -> Reliability:
    frame = board.tables.reliability
    frame = frame[frame.detector == label]
    degraded = {
        cell.digest
        for cell in board.tables.board.detector_cells
        if cell.detector == label and components(cell.task)
    }
    answers = [record for record in board.folder.detections if record.digest in degraded]
    return Reliability(
        tuple({str(name): value for name, value in line.items()} for line in frame.to_dict("records")),
        len(answers),
        sum(record.status == OK and bool(record.probabilities) for record in answers),
        frame.dataset.nunique() > 1,
        None if frame.empty else figures.reliability_of(board, catalog, label, f"reliability-{before}"),
    )


def _accuracy(line: Mapping[Any, Any], several: bool) -> Accuracy:
    told = str(line["status"])
    return Accuracy(
        task=line["task"],
        label=place_label(line["task"], line["dataset"], several),
        images=int(line["images"]),
        accuracy=number(line["accuracy"]),
        low=number(line["accuracy_low"]),
        high=number(line["accuracy_high"]),
        abstained=number(line["abstained"]),
        false_alarm=number(line["false_alarm"]),
        calibration_error=number(line["calibration_error"]),
        status="" if told == "ok" else told,
    )


def _confusion(board: SiteBoard, label: str, several: bool) -> Confusion:
    frame = board.tables.confusion
    lines = frame[frame.detector == label].to_dict("records")
    counts = {(line["task"], line["dataset"], line["verdict"]): int(line["images"]) for line in lines}
    truths = list(dict.fromkeys((line["task"], line["dataset"]) for line in lines))
    said = {line["verdict"] for line in lines}
    own = [task for task, _ in truths if task in said and task != CLEAN]
    verdicts = list(dict.fromkeys([*own, *sorted(said - {*own, NONE}), *([NONE] if NONE in said else [])]))
    cells = []
    for truth in truths:
        row = [counts.get((*truth, verdict), 0) for verdict in verdicts]
        cells.append(tuple((count, _shade(count, sum(row))) for count in row))
    wanted = [NONE if task == CLEAN else task for task, _ in truths]
    return Confusion(
        tuple(verdicts),
        tuple(place_label(task, dataset, several) for task, dataset in truths),
        tuple(cells),
        tuple(verdicts.index(truth) if truth in verdicts else -1 for truth in wanted),
    )


def _shade(count: int, whole: int) -> int:
    return max(1, round(SHADES * count / whole)) if count else 0
