"""Images of a published folder restored again, and its saved images scored again, against its records."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from restorebench.journal.journal import Journal
from restorebench.plan.plan import Plan, RestorerCell, TaskData, score_digests
from restorebench.publishing.instructions import older
from restorebench.publishing.layout import image_file
from restorebench.publishing.recompute import Row
from restorebench.records import FAILED, OK, Record, row_name
from restorebench.schedule.part import Part, run_part
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox import images
from restorebench.toolbox.variables import variables_set
from restorebench.worker.jobs import Job

Where = tuple[str, str]
"""A dataset and a task."""
Wanted = Mapping[Where, Collection[str]]
"""The samples to look at."""
ImageKey = tuple[Row, str, int]
"""A row, a sample and a repetition."""


@dataclass(frozen=True)
class Image:
    """What is known of one restored image: its status, why it failed, and its scores by column."""

    status: str
    reason: str
    scores: Mapping[str, float]
    file: Path | None = None


class Rerun:
    """A published suite that is planned again here, and what comes out when parts of it are run.

    rows: the cells, by row, whose digests are the published ones: the same data, weights, options and code.
    columns: the names of those that can be scored here.
    """

    def __init__(self, plan: Plan, rows: Mapping[Row, RestorerCell], settings: Settings, watch: Watcher) -> None:
        self._plan = plan
        self.rows = rows
        self._settings = settings
        self._watch = watch
        run_here = {cell.digest for cell in rows.values()}
        self._others = {cell.digest for cell in plan.restorer_cells} - run_here
        self.columns = frozenset(column.name for column in plan.columns)

    def drawn(self, images_of_each: int | None, word: str) -> Wanted:
        """Draw images of each task, and all that are restored in one batch with them; None takes every image.

        word: decides which; nobody who does not know it can tell beforehand.
        """
        found = {}
        for data in {(cell.data.label, cell.data.task): cell.data for cell in self.rows.values()}.values():
            names = [sample.id for sample in data.samples[: data.wanted]]
            names.sort(key=lambda name: _drawn_by(word, data, name))
            chosen = set(names if images_of_each is None else names[:images_of_each])
            found[data.label, data.task] = _with_their_batches(data, chosen)
        return found

    def only(self, row: Row) -> Rerun:
        """Return the same for one row alone."""
        return Rerun(self._plan, {row: self.rows[row]}, self._settings, self._watch)

    def with_its_batch(self, key: ImageKey) -> Wanted:
        """Return the images that are restored in one batch with an image."""
        (task, dataset, _), sample, _ = key
        return {(dataset, task): _with_their_batches(self.rows[key[0]].data, {sample})}

    def restored(self, wanted: Wanted, keep: Path | None = None) -> dict[ImageKey, Image]:
        """Restore the wanted images again. keep: a folder for the restored images; None keeps none."""
        return self._restored(wanted, self._settings, keep)

    def with_other_instructions(self, wanted: Wanted) -> Iterator[dict[ImageKey, Image]]:
        """Restore the wanted images as older processors do, one processor after the other."""
        # This process has chosen its instructions already: only a process that starts now chooses others.
        settings = replace(self._settings, workers=max(1, self._settings.workers))
        for variables in older():
            with variables_set(variables):
                found = self._restored(wanted, settings)
            yield found

    def _restored(self, wanted: Wanted, settings: Settings, keep: Path | None = None) -> dict[ImageKey, Image]:
        suite = self._plan.suite.model_copy(update={"save": "all" if keep else "none", "samples": 0})
        plan = replace(self._plan, loaded=replace(self._plan.loaded, suite=suite))
        with run_part(plan, settings, lambda job: self._is_wanted(job, wanted), self._watch, keep=keep) as part:
            return self._outcomes(part, wanted)

    def scored(self, published: Path) -> dict[ImageKey, Image]:
        """Score the saved images of a published folder again, against the ground truth that is here."""
        wanted: dict[Where, set[str]] = {}

        def saved(journal: Journal) -> None:
            for cell in self.rows.values():
                records = list(_saved(published, cell, journal.folder))
                journal.add_records(records, score_digests(self._plan))
                names = wanted.setdefault((cell.data.label, cell.data.task), set())
                names.update(record.sample for record in records)

        settings = replace(self._settings, scoring_only=True)
        with run_part(
            self._plan, settings, lambda job: self._is_wanted(job, wanted), self._watch, known=saved
        ) as part:
            found = self._outcomes(part, wanted)
        return {key: image for key, image in found.items() if image.scores}

    def _is_wanted(self, job: Job, wanted: Wanted) -> bool:
        images = wanted.get((job.cell.dataset.label, job.cell.dataset.task), ())
        return job.cell.digest not in self._others and bool(set(job.ids) & set(images))

    def _outcomes(self, part: Part, wanted: Wanted) -> dict[ImageKey, Image]:
        return {
            (row, *key): Image(outcome.record.status, outcome.record.reason, outcome.scores, outcome.file)
            for row, cell in self.rows.items()
            for key, outcome in part.outcomes(cell).items()
            if key[0] in wanted.get((cell.data.label, cell.data.task), ())
        }


def _drawn_by(word: str, data: TaskData, sample: str) -> bytes:
    return hashlib.sha256(f"{word} {data.label} {data.task} {sample}".encode()).digest()


def _with_their_batches(data: TaskData, chosen: Collection[str]) -> set[str]:
    groups = [{data.samples[number].id for number in group} for group in data.groups]
    return {name for group in groups if group & set(chosen) for name in group}


def _saved(published: Path, cell: RestorerCell, folder: Path) -> Iterator[Record]:
    """Copy the saved images of a cell into a run folder, and yield their records."""
    for sample in cell.data.samples[: cell.data.wanted]:
        for repetition in range(cell.repetitions):
            name = image_of(cell, sample.id, repetition)
            if (published / name).is_file():
                output = str(Path(name).with_suffix(".png"))
                (folder / output).parent.mkdir(parents=True, exist_ok=True)
                images.write_png(folder / output, images.read(published / name))
                yield Record(cell.digest, sample.id, repetition, OK, output=output)


def image_of(cell: RestorerCell, sample: str, repetition: int) -> str:
    """Return the file of a restored image in a published folder."""
    row = row_name(cell.label, cell.tell)
    return image_file(cell.data.label, cell.data.task, row, sample, repetition)


def published_images(cell: ScoredCell) -> Iterator[tuple[ImageKey, Image]]:
    """Yield what the published records say of each image of a cell."""
    outcomes, facts = cell.outcomes, cell.facts
    for number in range(len(outcomes)):
        scores = {name: float(values[number]) for name, values in outcomes.scores.items()}
        known = {name: value for name, value in scores.items() if value == value}
        status = OK if outcomes.ok[number] else FAILED
        sample = facts.samples[outcomes.samples[number]].id
        key = (facts.task, facts.dataset, facts.name), sample, int(outcomes.repetitions[number])
        yield key, Image(status, str(outcomes.failures.get(number, "")), known)
