"""What tables know of a plan: columns, rows and samples, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from restorebench.plan.plan import DetectorCell, Plan, RestorerCell, ScoreColumn, TaskData
from restorebench.toolbox.digests import digest


class Family(StrEnum):
    """What rows may know, which decides what they are compared with."""

    BLIND = "blind"
    """Told nothing, or what a bundled detector says of the image alone."""
    TOLD = "told"
    """Told the task, or what a detector of another plugin says."""
    YARDSTICK = "yardstick"
    """Saw the clean image."""


@dataclass(frozen=True)
class SampleFacts:
    """What the tables say of a sample beside its scores."""

    id: str
    scene: str
    kind: str


@dataclass(frozen=True)
class Column:
    """One metric under one protocol. unavailable: why it is empty in this run, or an empty string.

    ranks: false where the metric is shown beside and never orders restorers.
    """

    name: str
    higher_is_better: bool
    decimals: int = 4
    unit: str = ""
    unavailable: str = ""
    ranks: bool = True


@dataclass(frozen=True)
class CellFacts:
    """One restorer on one task of one dataset, told one thing: what the tables need to know of it.

    restorer: its label in the suite; plugin: the restorer's own name. columns: the scores that apply here.
    digest: what records refer to. row_digest: it and the scored columns' versions, printed in the table.
    samples: those this run asked for, in plan order. total: how many the data hold; 0 means just these.
    skipped: why the cell was not run, or "".
    notes: what else a reader must know.
    """

    restorer: str
    plugin: str
    tell: str
    task: str
    dataset: str
    training: str
    family: Family
    digest: str
    row_digest: str
    samples: tuple[SampleFacts, ...]
    columns: tuple[str, ...] = ()
    repetitions: int = 1
    parameters: int | None = None
    skipped: str = ""
    notes: tuple[str, ...] = ()
    total: int = 0

    @property
    def name(self) -> str:
        """The name of its row: `NAME`, or `NAME:TELL` where it is told something."""
        return self.restorer if self.tell == "nothing" else f"{self.restorer}:{self.tell}"

    @property
    def share(self) -> str:
        """Say `first 2 of 6 images` of a cell that --limit narrowed, else an empty string."""
        return _share(self.samples, self.total)


@dataclass(frozen=True)
class DetectorCellFacts:
    """One detector on one task of one dataset. The truth of each sample is the task's components.

    detector: its label in the suite. total: as in CellFacts.
    """

    detector: str
    task: str
    dataset: str
    digest: str
    samples: tuple[SampleFacts, ...]
    total: int = 0

    @property
    def share(self) -> str:
        """Say what `CellFacts.share` does."""
        return _share(self.samples, self.total)


def _share(samples: Sequence[SampleFacts], total: int) -> str:
    return f"first {len(samples)} of {total} images" if len(samples) < total else ""


@dataclass(frozen=True)
class Board:
    """A planned suite, as far as its tables are concerned.

    tasks: those that enter the average, in order, each once; `clean` is never among them.
    tasks_in_suite: how many there would be without --tasks; 0 means just these.
    """

    suite: str
    version: str
    tasks: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: tuple[CellFacts, ...]
    detector_cells: tuple[DetectorCellFacts, ...] = ()
    tasks_in_suite: int = 0

    @property
    def share(self) -> str:
        """Say `2 of 10 tasks` of a board that --tasks narrowed, else an empty string."""
        total = self.tasks_in_suite or len(self.tasks)
        return f"{len(self.tasks)} of {total} tasks" if len(self.tasks) < total else ""


def board_of(plan: Plan) -> Board:
    """Take out of a plan what its tables need to know."""
    return Board(
        suite=plan.suite.suite,
        version=plan.suite.version,
        tasks=plan.tasks,
        tasks_in_suite=len(plan.suite.tasks),
        columns=tuple(_board_column(column) for column in plan.columns),
        cells=tuple(_cell_facts(cell, _family(plan, cell)) for cell in plan.restorer_cells),
        detector_cells=tuple(_detector_facts(cell) for cell in plan.detector_cells),
    )


def _samples(data: TaskData) -> tuple[SampleFacts, ...]:
    return tuple(SampleFacts(s.id, s.scene, s.kind) for s in data.samples[: data.wanted])


def _board_column(column: ScoreColumn) -> Column:
    card = column.card
    if card is None:
        return Column(column.name, higher_is_better=True, unavailable=column.unavailable)
    return Column(column.name, card.higher_is_better, card.decimals, card.unit, ranks=card.ranks)


def _family(plan: Plan, cell: RestorerCell) -> Family:
    if cell.card.yardstick:
        return Family.YARDSTICK
    bundled = {detecting.digest for detecting in plan.detector_cells if not detecting.entry.code}
    return Family.BLIND if cell.tell == "nothing" or cell.told_by in bundled else Family.TOLD


def _cell_facts(cell: RestorerCell, family: Family) -> CellFacts:
    scored = [[column.name, column.digest] for column in cell.columns]
    return CellFacts(
        restorer=cell.label,
        plugin=cell.card.name,
        tell=cell.tell,
        task=cell.data.task,
        dataset=cell.data.label,
        training=cell.card.training.value,
        family=family,
        digest=cell.digest,
        row_digest=digest(cell.digest, scored, [sample.id for sample in cell.data.samples[: cell.data.wanted]]),
        samples=_samples(cell.data),
        columns=tuple(column.name for column in cell.columns),
        repetitions=cell.repetitions,
        skipped=cell.skipped,
        notes=cell.notes,
        total=len(cell.data.samples),
    )


def _detector_facts(cell: DetectorCell) -> DetectorCellFacts:
    data = cell.data
    return DetectorCellFacts(cell.label, data.task, data.label, cell.digest, _samples(data), len(data.samples))


def with_parameters(board: Board, parameters: Mapping[str, int]) -> Board:
    """Return the board with parameter counts, known only after the restorers were loaded, by cell digest."""
    return replace(board, cells=tuple(replace(c, parameters=parameters.get(c.digest)) for c in board.cells))
