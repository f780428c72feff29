"""The facts about a plan that tables need: columns, cells and samples, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from restorebench.contract.errors import UnknownName, nearest
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell, ScoreColumn, TaskData
from restorebench.records import row_name
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
    """The facts that tables show about a sample besides its scores."""

    id: str
    scene: str
    kind: str


@dataclass(frozen=True)
class Column:
    """One metric under one protocol. unavailable: why it is empty in this run, or an empty string.

    ranks: false if the metric is shown but never ranks restorers.
    """

    name: str
    higher_is_better: bool
    decimals: int = 4
    unit: str = ""
    unavailable: str = ""
    ranks: bool = True


@dataclass(frozen=True)
class CellFacts:
    """The facts that tables need about one restorer on one task of one dataset, with one value of `tell`.

    restorer: its label in the suite; plugin: the restorer's own name. columns: names of the scores that apply.
    digest: identifies the cell in records. row_digest: covers the digest, the versions of the scored columns and
    the samples; printed in the table. samples: those of this run, in plan order. total: number of samples in the
    data; 0 means the same number. skipped: why the cell was not run, or "". notes: other remarks for the reader.
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
    setup: str = ""

    @property
    def name(self) -> str:
        """The name of its row: `NAME`, or `NAME:TELL` where it is told something."""
        return row_name(self.restorer, self.tell)

    @property
    def share(self) -> str:
        """Return `first 2 of 6 images` for a cell that --limit shortened, else an empty string."""
        return _share(self.samples, self.total)


@dataclass(frozen=True)
class DetectorCellFacts:
    """One detector on one task of one dataset. The true labels of each sample are the task's components.

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
        """Return the same as `CellFacts.share`."""
        return _share(self.samples, self.total)


def _share(samples: Sequence[SampleFacts], total: int) -> str:
    return f"first {len(samples)} of {total} images" if len(samples) < total else ""


@dataclass(frozen=True)
class Board:
    """The facts that tables need about a planned suite.

    Cells of the same dataset and task have the same samples, in the same order.
    tasks: the tasks of the average, in order, each once and without `clean`.
    tasks_in_suite: their number without --tasks; 0 means the same number.
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
        """Return `2 of 10 tasks` for a board that --tasks narrowed, else an empty string."""
        total = self.tasks_in_suite or len(self.tasks)
        return f"{len(self.tasks)} of {total} tasks" if len(self.tasks) < total else ""

    def column(self, metric: str | None = None) -> Column:
        """Return the column of that name, or the first of that metric; by default the first that ranks.

        Raises:
            UnknownName: there is none, or it could not be computed in this run.
        """
        known = {column.name: column for column in self.columns if not column.unavailable}
        wanted = [column for column in known.values() if column.ranks] if metric is None else []
        if metric is not None:
            wanted = [column for name, column in known.items() if name.partition("@")[0] == metric]
            wanted = [known[metric]] if metric in known else wanted
        if not wanted:
            what = "that ranks" if metric is None else f"{metric!r}{nearest(metric, known)}"
            raise UnknownName(f"no column {what}; it has {', '.join(known) or 'none'}")
        return wanted[0]


def board_of(plan: Plan) -> Board:
    """Extract the facts that tables need from a plan."""
    cells: list[RestorerCell | DetectorCell] = [*plan.restorer_cells, *plan.detector_cells]
    listed = {(cell.data.label, cell.data.task): cell.data for cell in cells}
    samples = {where: _samples(data) for where, data in listed.items()}  # one object for the cells of a task
    return Board(
        suite=plan.suite.suite,
        version=plan.suite.version,
        tasks=plan.tasks,
        tasks_in_suite=len(plan.suite.tasks),
        columns=tuple(_board_column(column) for column in plan.columns),
        cells=tuple(
            _cell_facts(cell, _family(plan, cell), samples[cell.data.label, cell.data.task])
            for cell in plan.restorer_cells
        ),
        detector_cells=tuple(
            _detector_facts(cell, samples[cell.data.label, cell.data.task]) for cell in plan.detector_cells
        ),
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


def _cell_facts(cell: RestorerCell, family: Family, samples: tuple[SampleFacts, ...]) -> CellFacts:
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
        row_digest=digest(cell.digest, scored, [sample.id for sample in samples]),
        samples=samples,
        columns=tuple(column.name for column in cell.columns),
        repetitions=cell.repetitions,
        skipped=cell.skipped,
        notes=cell.notes,
        total=len(cell.data.samples),
        setup=digest(cell.card.name, cell.entry.edition, str(dict(cell.options)), dict(cell.files)),
    )


def _detector_facts(cell: DetectorCell, samples: tuple[SampleFacts, ...]) -> DetectorCellFacts:
    data = cell.data
    return DetectorCellFacts(cell.label, data.task, data.label, cell.digest, samples, len(data.samples))


def with_parameters(board: Board, parameters: Mapping[str, int]) -> Board:
    """Return the board with parameter counts (by cell digest), which are known only once restorers are loaded."""
    return replace(board, cells=tuple(replace(c, parameters=parameters.get(c.digest)) for c in board.cells))
