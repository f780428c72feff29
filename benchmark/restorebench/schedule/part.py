"""Run a part of a plan in a folder of its own, and look at what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from restorebench.journal.journal import Journal
from restorebench.plan.plan import Plan, RestorerCell
from restorebench.records import Key, Record
from restorebench.schedule.stage import Watcher, opened
from restorebench.schedule.todo import detector_jobs, restorer_jobs
from restorebench.suite.settings import Settings
from restorebench.worker.jobs import Job


@dataclass(frozen=True)
class Outcome:
    """What came out for one image. scores: by the name of their column. file: the restored image, if kept."""

    record: Record
    scores: Mapping[str, float]
    file: Path | None


@dataclass(frozen=True)
class Part:
    """A part of a plan that was run."""

    folder: Path
    journal: Journal

    def outcomes(self, cell: RestorerCell) -> dict[Key, Outcome]:
        """Return what came out for the images of a cell."""
        scores = self.journal.scores(cell.digest)
        found = {}
        for key, record in self.journal.records(cell.digest).items():
            named = {column.name: scores.get(key, {}).get(column.digest) for column in cell.columns}
            known = {name: value for name, value in named.items() if value is not None}
            found[key] = Outcome(record, known, self.folder / record.output if record.output else None)
        return found


@contextmanager
def run_part(
    plan: Plan,
    settings: Settings,
    wanted: Callable[[Job], bool],
    watch: Watcher,
    *,
    known: Callable[[Journal], None] = lambda journal: None,
    keep: Path | None = None,
) -> Iterator[Part]:
    """Run the wanted jobs of a plan alone; no tables are written, and no costs are learned from it.

    known: adds what is known already, such as detections, to the journal of the new folder. keep: the folder; by
    default one that is removed after the block.

    Raises:
        RestorebenchError: the folder, the device or the data cannot be used.
    """
    with TemporaryDirectory(prefix="restorebench-") as temporary:
        folder = keep or Path(temporary) / "run"
        there = replace(settings, out=folder, one_off=True)
        with opened(plan, there, folder, watch, None) as run:
            known(run.journal)
            detecting = () if there.scoring_only else detector_jobs(plan, run.journal)
            run.work("detect", tuple(filter(wanted, detecting)))
            restoring = restorer_jobs(plan, run.journal, scoring_only=there.scoring_only).jobs
            run.work("restore", tuple(filter(wanted, restoring)))
            yield Part(folder, run.journal)
