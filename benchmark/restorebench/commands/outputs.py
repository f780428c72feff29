"""The images that `explain` scores: two folders that match by name, or the saved images of one row of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from restorebench.commands.one_off import prepared
from restorebench.commands.scores import suite_of_pairs
from restorebench.contract.cards import Variant
from restorebench.contract.errors import RestorebenchError, RunFolderError, UnknownName, nearest
from restorebench.journal import journal as journals
from restorebench.plan.plan import Plan, RestorerCell
from restorebench.records import OK
from restorebench.runner import prepare
from restorebench.schedule.cell_specs import restorer_spec
from restorebench.schedule.origin import reopen
from restorebench.suite.settings import Settings, cache_folder, offline
from restorebench.toolbox.counts import counted
from restorebench.worker.jobs import ColumnSpec, Setup

Choice = tuple[str | None, str | None, str | None]
"""A restorer, a task and a dataset; None where any will do."""
Scores = dict[tuple[str, Variant], float]
"""By metric and variant; a variant without departures is a protocol."""


@dataclass(frozen=True)
class Outputs:
    """Restored images and their ground truth, as one cell of a plan.

    files: for each image, the number of its sample, and the file of the restored image, or None if that is the
    degraded image of the sample.
    """

    plan: Plan
    cell: RestorerCell
    files: tuple[tuple[int, Path | None], ...]
    row: str = ""
    notes: tuple[str, ...] = ()

    def scores(
        self, columns: tuple[ColumnSpec, ...], rarest: Mapping[str, float]
    ) -> Iterator[tuple[list[tuple[str, Scores]], int]]:
        """Yield, for each image, its scores for each way to fit the two sizes, and its number of pixels."""
        from restorebench.worker.explaining import Explainer, File  # imports torch

        roots = {name: str(path) for name, path in self.plan.roots.items()}
        setup = Setup("", self.plan.suite.threads, "cpu", roots, str(cache_folder()), offline())
        explainer = Explainer(setup, replace(restorer_spec(self.plan, self.cell), columns=columns), rarest)
        samples = self.cell.data.samples
        files = (File(number, samples[number].id, path) for number, path in self.files)
        for fitted, pixels in explainer.scores(files):
            yield [(fit.words, scores) for fit, scores in fitted], pixels


@contextmanager
def of_folders(
    restored: Path, clean: Path, columns: Sequence[ColumnSpec], pairing: str | None, settings: Settings
) -> Iterator[Outputs]:
    """Pair the files of two folders."""
    metrics = _unique(column.metric for column in columns)
    protocols = _unique(column.protocol for column in columns)
    raw = suite_of_pairs("explain", restored, clean, metrics, protocols, pairing)
    raw["datasets"][0]["options"]["sizes"] = "any"
    with prepared(raw, settings) as (plan, _, _):
        (cell,) = plan.restorer_cells
        yield Outputs(plan, cell, tuple((number, None) for number in range(len(cell.data.samples))))


@contextmanager
def of_run(folder: Path, columns: Sequence[ColumnSpec], choice: Choice, settings: Settings) -> Iterator[Outputs]:
    """Find the saved images of one row of a run."""
    origin = reopen(folder, settings.plugins)
    suite = origin.loaded.suite
    if suite.save != "all":
        raise RunFolderError(f"{folder} has no saved images to score; run its suite with --save all")
    wanted = suite.model_copy(
        update={
            "metrics": _unique(column.metric for column in columns),
            "protocols": _unique(column.protocol for column in columns),
        }
    )
    plan = prepare(replace(origin.loaded, suite=wanted), replace(origin.settings, scoring_only=True))
    origin.require_same(plan)
    cell = _chosen(folder, plan, choice)
    row = f"{_name(cell)} on {cell.data.task} of {cell.data.label}"
    with journals.opened(folder) as journal:
        records = journal.records(cell.digest)
    images, failed = [], 0
    for number, sample in enumerate(cell.data.samples[: cell.data.wanted]):
        for repetition in range(cell.repetitions):
            record = records.get((sample.id, repetition))
            if record is None:
                raise RunFolderError(f"{folder}: {row} is not finished; run its suite again, then explain it")
            if record.status != OK:
                failed += 1
                continue
            file = folder / (record.output or "none")
            if not file.is_file():
                raise RunFolderError(f"{file}: the saved image is gone; run the suite again with --save all")
            images.append((number, file))
    if not images:
        raise RunFolderError(f"{folder}: every image of {row} failed ({failed}); name another row")
    left_out = counted(failed, "image failed and is", "images failed and are")
    notes = (f"{left_out} left out",) if failed else ()
    yield Outputs(plan, cell, tuple(images), row, notes)


def _name(cell: RestorerCell) -> str:
    return cell.label if cell.tell == "nothing" else f"{cell.label}:{cell.tell}"


def _chosen(folder: Path, plan: Plan, choice: Choice) -> RestorerCell:
    """Return the one row of a run that is meant.

    Raises:
        UnknownName: there is no such restorer, task or dataset.
        RestorebenchError: several rows are meant, or none.
    """
    cells = [cell for cell in plan.restorer_cells if not cell.skipped]
    kinds: tuple[tuple[str, Callable[[RestorerCell], str]], ...] = (
        ("restorer", _name),
        ("task", lambda cell: cell.data.task),
        ("dataset", lambda cell: cell.data.label),
    )
    for (kind, name_of), asked in zip(kinds, choice, strict=True):
        if asked is None:
            continue
        known = _unique(name_of(cell) for cell in cells)
        cells = [cell for cell in cells if name_of(cell) == asked]
        if not cells:
            raise UnknownName(
                f"{folder} has no {kind} {asked!r}{nearest(asked, known)}; it has {', '.join(known)}"
            )
    if len(cells) == 1:
        return cells[0]
    several = {
        f"--{kind}": names for kind, name_of in kinds if len(names := _unique(name_of(cell) for cell in cells)) > 1
    }
    listed = "; ".join(f"{flag}: {', '.join(names)}" for flag, names in several.items())
    raise RestorebenchError(f"{folder} has {len(cells)} rows; name one by {listed}")


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
