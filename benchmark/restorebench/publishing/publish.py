"""A finished run -> a published folder, which alone is enough to compute its tables again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restorebench.contract.errors import RestorebenchError, RunFolderError, SuiteError
from restorebench.engine.environment import version
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.journal.layout import environment_key, safe_name
from restorebench.plan.plan import Plan
from restorebench.publishing import facts, images
from restorebench.publishing.bundled import departure
from restorebench.publishing.layout import SCHEMA, require_outside
from restorebench.publishing.signing import sign
from restorebench.publishing.writing import Contents, made, write
from restorebench.runner import prepare
from restorebench.schedule.origin import reopen
from restorebench.tables import outcomes
from restorebench.tables.board import Board
from restorebench.tables.manifest import manifest
from restorebench.tables.reporting import scored
from restorebench.tables.scored import ScoredCell
from restorebench.toolbox import remembered
from restorebench.toolbox.counts import counted


@dataclass(frozen=True)
class Publication:
    """A folder that was published. notes: what a reader may miss in it, such as images over the budget."""

    folder: Path
    notes: tuple[str, ...]


def publish(
    run: str | Path,
    to: str | Path = "results",
    *,
    incomplete: bool = False,
    replace_existing: bool = False,
    image_megabytes: float = images.MEGABYTES,
    key: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
) -> Publication:
    """Publish a finished run as `TO/SUITE/VERSION`.

    >>> publish("runs/noisy", "published", incomplete=True, replace_existing=True).folder.as_posix()
    'published/quickstart/4'

    incomplete: also publish a run with failures, or one that --limit or --tasks shortened. replace_existing:
    replace what was published under this name and version. image_megabytes: the most that images may take; 0
    publishes none. key: an ssh key to sign it with. plugins: the plugin files of the run.

    Raises:
        RestorebenchError: the run is not finished, its data or plugins changed since, or the folder cannot be
            written.
    """
    if not image_megabytes >= 0:
        raise RestorebenchError(f"image_megabytes is {image_megabytes}; give 0 or more")
    origin = reopen(Path(run), [Path(plugin) for plugin in plugins])
    with remembered.nothing():  # what is published is true of the files as they are now
        plan = prepare(origin.loaded, origin.settings)
    origin.require_same(plan)
    with journals.opened(Path(run)) as journal:
        board, cells = scored(plan, journal)
        _require_finished(Path(run), board, cells, incomplete)
        target = Path(to) / board.suite / safe_name(board.version)
        require_outside(target)
        if target.exists() and not replace_existing:
            raise RunFolderError(f"{target} exists; raise the version of the suite, or give --replace")
        with made(target) as folder:
            kept = images.publish_outputs(folder, plan, journal, image_megabytes)
            about = _manifest(plan, board, journal, kept)
            _refuse_altered(about["suite"])
            write(folder, plan.catalog, Contents(about, board, cells, list(outcomes.detections(plan, journal))))
            if key is not None:
                sign(folder, Path(key))
    return Publication(target, kept.notes)


def draft(run: Path, plan: Plan, folder: Path) -> tuple[str, ...]:
    """Write a run into an empty folder in the form of a published one, to look at and not to rely on.

    Runs that `publish` refuses are written too: those that are not finished, or of a changed bundled suite. Images
    of all datasets are in it. Returns in what way the board is not the whole of its suite.

    Raises:
        RunFolderError: an image that the run saved cannot be read, or the folder cannot be written.
    """
    with journals.opened(run) as journal:
        board, cells = scored(plan, journal)
        kept = images.publish_outputs(folder, plan, journal, images.MEGABYTES, every_dataset=True)
        about = _manifest(plan, board, journal, kept)
        write(folder, plan.catalog, Contents(about, board, cells, list(outcomes.detections(plan, journal))))
    missing = not_run(cells)
    return (
        *([f"{counted(missing, 'image was', 'images were')} not run"] if missing else []),
        *shortfall(board, cells),
    )


def _require_finished(run: Path, board: Board, cells: Sequence[ScoredCell], incomplete: bool) -> None:
    """Refuse what is not the whole board. A run that was stopped is always refused: one command finishes it."""
    missing = not_run(cells)
    if missing:
        left = counted(missing, "image is", "images are")
        raise RunFolderError(f"{run}: {left} not run yet; run its suite again, then publish")
    why = shortfall(board, cells)
    if why and not incomplete:
        raise RunFolderError(f"{run}: {', '.join(why)}; give --incomplete to publish it all the same")


def not_run(cells: Sequence[ScoredCell]) -> int:
    """Count the images that were not run, without those of skipped cells."""
    return sum(cell.missing for cell in cells if not cell.facts.skipped)


def shortfall(board: Board, cells: Sequence[ScoredCell]) -> list[str]:
    """Say in what way a finished board is not the whole of its suite; an empty list if it is."""
    failed = sum(cell.failed for cell in cells)
    unscored = sum(len(cell.outcomes.unscored) for cell in cells)
    why = [
        f"{counted(failed, 'image')} failed" if failed else "",
        f"{counted(unscored, 'image lacks', 'images lack')} scores" if unscored else "",
        board.share,
        next((cell.facts.share for cell in cells if cell.facts.share), ""),
    ]
    return list(filter(None, why))


def _manifest(plan: Plan, board: Board, journal: Journal, kept: images.Kept) -> dict[str, Any]:
    """Return the manifest of the run, with the resolved suite and the facts of the board beside."""
    computed_with = journal.recall(environment_key(False)) or {}
    about = manifest(plan, board, computed_with)
    about["suite"] = _resolved(about["suite"], plan)
    about["roots"] = sorted(about["roots"])  # their names alone: where they lay is nobody's business
    more = {
        "tasks": list(plan.tasks),
        "facts": facts.board_json(board),
        "images": asdict(kept),
    }
    return {"schema": SCHEMA, "published_with": version("restorebench"), **about, **more}


def _refuse_altered(suite: Mapping[str, Any]) -> None:
    """Refuse a suite that has the name and version of a bundled one and is another."""
    if other := departure(suite):
        raise SuiteError(
            f"{other[0]} is {other[2]}, and {other[1]} in the bundled suite {suite['suite']} version"
            f" {suite['version']}; run it under another name or version: --set suite=my-suite"
        )


def _resolved(suite: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the suite with what took part in the run alone: nothing in it depends on what else is installed."""
    rows = {(cell.label, cell.tell) for cell in plan.restorer_cells}
    detectors = {cell.label for cell in plan.detector_cells}
    labels = {pick["name"]: pick["label"] or pick["name"] for pick in suite["detectors"]}
    there = dict(suite)
    there["restorers"] = [
        {**pick, "tell": told}
        for pick in suite["restorers"]
        if (pick["label"] or pick["name"], told := _label_of(pick["tell"], labels)) in rows
    ]
    there["detectors"] = [
        {**pick, "optional": False} for pick in suite["detectors"] if (pick["label"] or pick["name"]) in detectors
    ]
    return there


def _label_of(tell: str, labels: Mapping[str, str]) -> str:
    """Return what a row is told; a detector's name becomes its label, as in the tables. labels: by name."""
    return tell if tell in labels.values() else labels.get(tell, tell)
