"""A run opened to look at single images: its samples, the outputs that it saved, and others restored anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.commands.anew import Anew, Place, image_of, key_of, restore_anew, row_of, shown_score, value_of
from restorebench.contract.errors import RestorebenchError, RunFolderError, UnknownName, UnreadableImage, nearest
from restorebench.contract.tasks import canonical
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import triple_name
from restorebench.plan.plan import Plan, RestorerCell, TaskData
from restorebench.records import OK, Record
from restorebench.runner import prepare
from restorebench.schedule.cell_specs import folder_of_triples, restorer_spec
from restorebench.schedule.origin import reopen
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings, cache_folder, offline
from restorebench.tables.board import Column, board_of
from restorebench.worker.jobs import Setup

if TYPE_CHECKING:
    import numpy as np

    from restorebench.contract.values import Sample

    Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

IDENTITY = "identity"
"""The restorer that returns its input, whose score is that of the input."""


@dataclass(frozen=True)
class Output:
    """What a row made of one image. pixels: (H, W, 3), None if it failed. degraded_digest: of its input, or ""."""

    name: str
    score: str
    pixels: Pixels | None
    degraded_digest: str
    notes: tuple[str, ...] = ()


@contextmanager
def opened(folder: Path, images: Sequence[str], settings: Settings) -> Iterator[ShownRun]:
    """Open a run to look at images; only their tasks are planned, so that the data of others may be missing.

    Raises:
        RestorebenchError: the folder holds no run, or its data or plugins are missing or changed.
    """
    origin = reopen(folder, settings.plugins)
    suite = origin.loaded.suite.model_copy(update={"save": "all", "reports": []})
    asked = origin.settings.request
    tasks = tuple(
        task for task in asked.tasks or suite.tasks if any(f"{canonical(task)}/" in image for image in images)
    )
    request = replace(asked, tasks=tasks) if tasks else asked
    try:
        plan = prepare(replace(origin.loaded, suite=suite), replace(origin.settings, request=request))
    except RestorebenchError as error:
        raise type(error)(f"{folder} cannot be planned again to show its images: {error}") from error
    origin.require_same(plan, narrowed=bool(tasks))
    there = replace(
        settings, data=origin.settings.data, plugins=origin.settings.plugins, request=request, one_off=True
    )
    with journals.opened(folder) as journal:
        yield ShownRun(folder, plan, journal, there)


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run to look at.

    plan: of the tasks that are looked at, with outputs to be saved. settings: to restore anew.
    """

    folder: Path
    plan: Plan
    journal: Journal
    settings: Settings
    _records: dict[str, Mapping[Any, Record]] = field(default_factory=dict)

    def column(self, metric: str | None) -> Column:
        """Return the column of the scores.

        Raises:
            UnknownName: the run has no such column.
        """
        try:
            return board_of(self.plan).column(metric)
        except UnknownName as error:
            raise UnknownName(f"{self.folder} has {error}") from error

    def place(self, image: str) -> Place:
        """Find the sample that `TASK/SAMPLE` or `DATASET/TASK/SAMPLE` names.

        Raises:
            UnknownName: there is none.
            RestorebenchError: there are several.
        """
        known: dict[str, list[tuple[str, Place]]] = {}
        for data in self._data:
            for number, sample in enumerate(data.samples[: data.wanted]):
                short, long = f"{data.task}/{sample.id}", f"{data.label}/{data.task}/{sample.id}"
                for name in (short, long):
                    known.setdefault(name, []).append((long, (data, number)))
        if image not in known:
            raise UnknownName(
                f"{self.folder} has no image {image!r}{nearest(image, known)};"
                " write TASK/SAMPLE, as in its records.csv"
            )
        if len(found := known[image]) > 1:
            raise RestorebenchError(f"{self.folder} has several {image}; write {' or '.join(n for n, _ in found)}")
        return found[0][1]

    @property
    def _data(self) -> list[TaskData]:
        return list({(c.data.label, c.data.task): c.data for c in self.plan.restorer_cells}.values())

    def sample(self, place: Place) -> Sample:
        """Read or synthesise a sample, as a worker of the run did."""

        from restorebench.worker.explaining import CPU  # imports torch
        from restorebench.worker.loading import Shelf
        from restorebench.worker.reading import read

        cell = self._cells(place)[0]
        roots = {name: str(path) for name, path in self.plan.roots.items()}
        setup = Setup("", self.plan.suite.threads, "cpu", roots, str(cache_folder()), offline())
        shelf = Shelf(setup, CPU)
        shelf.prepare(replace(restorer_spec(self.plan, cell), columns=()))
        return read(shelf.data, place[1])

    def input_score(self, place: Place, column: Column) -> str:
        """Return the score of the input, which `identity` has; "" if it is no row of the run."""
        for cell in self._cells(place):
            if cell.card.name == IDENTITY and cell.tell == "nothing":
                return self._score(cell, place, column)
        return ""

    def outputs(
        self, places: Sequence[Place], rows: Sequence[str], column: Column, restore: bool, watch: Watcher
    ) -> list[list[Output]]:
        """Return, for each place, the output of each row; all but `identity` if none is named.

        Raises:
            RestorebenchError: there is no such row, it is not finished, or it cannot be restored anew.
        """
        chosen = [self._chosen(place, rows) for place in places]
        every = [(cell, place) for place, cells in zip(places, chosen, strict=True) for cell in cells]
        lacking = [
            (cell, place)
            for cell, place in every
            if self._record(cell, place).status == OK and self._saved(cell, place) is None
        ]
        if lacking and not restore:
            cell, place = lacking[0]
            raise RunFolderError(f"{self.folder} has no saved image of {row_of(cell)} on {image_of(place)}")
        anew = {}
        if lacking:
            anew = restore_anew(self.plan, self.journal, lacking, column, self.settings, watch)
        return [
            [self._output(cell, place, column, anew.get((cell.digest, place[1]))) for cell in cells]
            for place, cells in zip(places, chosen, strict=True)
        ]

    def _cells(self, place: Place) -> list[RestorerCell]:
        return [cell for cell in self.plan.restorer_cells if cell.data is place[0]]

    def _chosen(self, place: Place, rows: Sequence[str]) -> list[RestorerCell]:
        """Return the cells of the named rows, in their order.

        Raises:
            RestorebenchError: the run has no such row, or could not run it.
        """
        cells = {row_of(cell): cell for cell in self._cells(place)}
        for row in rows:
            if row not in cells:
                raise UnknownName(
                    f"{self.folder} has no row {row!r}{nearest(row, cells)}; it has {', '.join(cells)}"
                )
            if cells[row].skipped:
                raise RestorebenchError(f"{self.folder}: {row} was not run: {cells[row].skipped}")
        able = [cell for cell in cells.values() if not cell.skipped]
        others = [cell for cell in able if cell.card.name != IDENTITY]
        return [cells[row] for row in rows] or others or able

    def _record(self, cell: RestorerCell, place: Place) -> Record:
        """Return the record of the first repetition.

        Raises:
            RunFolderError: there is none.
        """
        if cell.digest not in self._records:
            self._records[cell.digest] = self.journal.records(cell.digest)
        record = self._records[cell.digest].get(key_of(place))
        if record is None:
            raise RunFolderError(
                f"{self.folder}: {row_of(cell)} is not finished on {image_of(place)};"
                " run its suite again, then show it"
            )
        return record

    def _saved(self, cell: RestorerCell, place: Place) -> Path | None:
        """Return the file of an output, saved for `--save all` or for `--samples`; None if there is none."""
        record = self._record(cell, place)
        triple = triple_name(record.sample, cell.label, cell.tell, cell.digest)
        files = [self.folder / (record.output or "none"), self.folder / folder_of_triples(cell) / triple]
        return next((file for file in files if file.is_file()), None)

    def _output(self, cell: RestorerCell, place: Place, column: Column, anew: Anew | None) -> Output:
        from restorebench.toolbox.images import read, to_8bit

        record, name, score = self._record(cell, place), row_of(cell), self._score(cell, place, column)
        if record.status != OK:
            return Output(name, score, None, record.degraded_digest, (f"failed: {record.reason}",))
        notes = [f"the first of {cell.repetitions} repetitions"] if cell.repetitions > 1 else []
        if anew is not None:
            return Output(name, score, anew.pixels, record.degraded_digest, (*notes, anew.note))
        file = self._saved(cell, place)
        assert file is not None  # else it was restored anew
        try:
            pixels, sample = to_8bit(read(file)), place[0].samples[place[1]]
        except UnreadableImage as error:
            raise RunFolderError(f"{file}: is no image, or damaged; remove it, to restore it anew") from error
        if pixels.shape[:2] != (sample.height, sample.width):
            raise RunFolderError(f"{file}: has another size than its input; remove it, to restore it anew")
        return Output(name, score, pixels, record.degraded_digest, tuple(notes))

    def _score(self, cell: RestorerCell, place: Place, column: Column) -> str:
        return shown_score(value_of(self.journal, cell, place, column), column)
