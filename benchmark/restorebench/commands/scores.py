"""Score two folders, by building and running a small suite, or the saved images of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.commands.one_off import prepared
from restorebench.contract.errors import MissingResource, RestorebenchError, RunFolderError
from restorebench.engine.events import Note
from restorebench.journal import journal as journals
from restorebench.plan.plan import Plan
from restorebench.records import FAILED, Record
from restorebench.runner import execute, prepare
from restorebench.schedule import todo
from restorebench.schedule.origin import reopen
from restorebench.schedule.stage import Watcher
from restorebench.suite.marked_yaml import Marks
from restorebench.suite.settings import Settings
from restorebench.tables import outcomes
from restorebench.toolbox.cells import csv_text, guarded
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.tables.reporting import Result


@dataclass(frozen=True)
class ScoreTable:
    """The result of `score`.

    rows: one per image, `{"sample": ..., "psnr@rgb": ...}`; None for a missing score. means: by column, over the
    images that have a score, by the rules of the leaderboard. failures: reasons by sample.
    """

    rows: tuple[Mapping[str, Any], ...]
    means: Mapping[str, float | None]
    failures: Mapping[str, str]

    def csv(self) -> str:
        """Format the rows as CSV, with six decimals."""
        rows = ([guarded(row["sample"]), *(number(row[name]) for name in self.means)] for row in self.rows)
        return csv_text([["sample", *self.means], *rows])


def number(value: float | None) -> str:
    """Format a score with six decimals, as in every CSV file; an empty string for None."""
    return "" if value is None else f"{value:.6f}"


def score(
    restored: str | Path,
    clean: str | Path,
    *,
    metrics: Sequence[str] = ("psnr", "ssim"),
    protocols: Sequence[str] = ("rgb",),
    pairing: str | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> ScoreTable:
    """Score a folder of restored images, from any program, against their ground truth.

    >>> found = score("restored", "clean")
    >>> {name: round(mean, 2) for name, mean in found.means.items()}
    {'psnr@rgb': 31.79, 'ssim@rgb': 0.87}
    >>> [row["sample"] for row in found.rows]
    ['astronaut', 'chelsea']

    pairing: a rule of the dataset `paired-folder` that matches the names of the files; by default, it is found.

    Raises:
        RestorebenchError: the folders cannot be used, or a metric cannot be computed on their images.
    """
    raw = suite_of_pairs("score", Path(restored), Path(clean), metrics, protocols, pairing)
    with prepared(raw, settings) as (plan, there, folder):
        _require_all_columns(plan)
        for note in plan.notes:
            watch(Note(note))
        result = execute(plan, there, watch)
        with journals.opened(folder) as journal:
            records = list(outcomes.records(plan, journal))
    means = result.tables.leaderboard.iloc[0]
    return ScoreTable(
        rows=tuple({"sample": record.sample, **record.scores} for record in records),
        means={column.name: _known(means[column.name]) for column in plan.columns},
        failures={record.sample: why for record in records if (why := _why_not_scored(record))},
    )


def suite_of_pairs(
    name: str, restored: Path, clean: Path, metrics: Sequence[str], protocols: Sequence[str], pairing: str | None
) -> dict[str, Any]:
    """Return a suite that scores the images of one folder against those of another.

    Raises:
        MissingResource: one of them is no folder.
    """
    for folder in (restored, clean):
        if not folder.is_dir():
            raise MissingResource(f"{folder} is not a folder")
    pair = {"degraded": str(restored.absolute()), "clean": str(clean.absolute())}
    if pairing is not None:
        pair["pairing"] = pairing
    return {
        "suite": name,
        "tasks": ["noisy"],  # a label only
        "datasets": [{"name": "paired-folder", "options": pair}],
        "restorers": ["identity"],
        "metrics": list(metrics),
        "protocols": list(protocols),
    }


def _require_all_columns(plan: Plan) -> None:
    """Refuse requested metrics that would be left out, before anything is computed."""
    for cell in plan.restorer_cells:
        scored = {column.name for column in cell.columns}
        for column in plan.columns:
            if column.unavailable:
                raise RestorebenchError(f"{column.name} is not available: {column.unavailable}")
            if column.name not in scored and cell.notes:
                raise RestorebenchError(f"{'; '.join(cell.notes)}; leave out these metrics, or give larger images")
            if column.name not in scored and column.card is not None:
                raise RestorebenchError(
                    f"{column.name} is only for {', '.join(column.card.tasks)}, and two folders have no task; "
                    "leave it out, or score in a suite"
                )


def _why_not_scored(record: Record) -> str:
    return record.reason if record.status == FAILED else "; ".join(map(str, record.unscored.values()))


def _known(value: float | None) -> float | None:
    """Return a number from a pandas frame, which may have turned None into NaN."""
    return None if value is None or value != value else float(value)


def rescore(
    folder: str | Path,
    *,
    metrics: Sequence[str] = (),
    protocols: Sequence[str] = (),
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Result:
    """Score a run's saved images with the given metrics and protocols, without restoring anything again.

    If no metrics or no protocols are given, those of the run are used. The tables go to `scores` in the run
    folder, and the run's own tables do not change. The scores are kept for a later run or `rescore`.

    Raises:
        RunFolderError: the folder holds no run, the run saved no images, a plugin is missing, or the data changed
            since.
        RestorebenchError: a requested score cannot be computed from the saved images.
    """
    origin = reopen(Path(folder), settings.plugins)
    old = origin.loaded.suite
    if old.save != "all":
        raise RunFolderError(f"{folder} has no saved images to score; run its suite with --save all")
    wanted = old.model_copy(
        update={
            "metrics": list(metrics or old.metrics),
            "protocols": list(protocols or old.protocols),
        }
    )
    again = replace(
        origin.settings,
        device=settings.device,
        workers=settings.workers,
        scoring_only=True,
    )
    marks = Marks(origin.loaded.source, overridden={("metrics",): "--metrics", ("protocols",): "--protocol"})
    plan = prepare(replace(origin.loaded, suite=wanted, marks=marks), again)
    origin.require_same(plan)
    _require_scorable(plan, Path(folder), metrics)
    for note in plan.notes:
        watch(Note(note))
    return execute(plan, again, watch)


def _require_scorable(plan: Plan, folder: Path, asked: Sequence[str]) -> None:
    """Refuse scores that the saved images do not allow, before anything is computed. asked: names of metrics."""
    for column in plan.columns:
        if column.metric not in asked:
            continue
        if column.unavailable:
            raise RestorebenchError(f"{column.name} is not available: {column.unavailable}")
        if not any(column in cell.columns for cell in plan.restorer_cells):
            why = {
                note
                for cell in plan.restorer_cells
                for note in cell.notes
                if note.startswith(f"no {column.name}:")
            }
            raise RestorebenchError("; ".join(sorted(why)) or f"{column.name} is for none of this run's tasks")
    with journals.opened(folder) as journal:
        rounded, gone = todo.unscorable(plan, journal)
    if rounded:
        raise RestorebenchError(
            f"{', '.join(rounded)}: needs images that are not rounded, and {folder} holds them at 8 bits;"
            " leave it out, or add its protocol to the suite and run that with --save all"
        )
    if gone:
        lost = counted(max(gone.values()), "saved image is", "saved images are")
        raise RestorebenchError(f"{folder}: {lost} gone; run its suite again with --save all")
