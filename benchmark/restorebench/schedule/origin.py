"""The origin of a run folder: what is needed to report or score the run again, from any working folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from restorebench.contract.errors import RunFolderError
from restorebench.journal import journal as journals
from restorebench.journal.journal import Journal
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import Suite
from restorebench.suite.settings import Request, Settings


@dataclass(frozen=True)
class Origin:
    """The suite and settings of a run folder. digests: of its cells and columns, by their names in the tables."""

    loaded: LoadedSuite
    settings: Settings
    digests: Mapping[str, str]

    def require_same(self, plan: Plan, narrowed: bool = False) -> None:
        """Refuse a plan whose digests differ from those of the folder: tables written now would lose numbers.

        Columns of the run that the plan does not have are ignored, because they are not in its tables.
        narrowed: the plan has only some tasks of the run, so that other cells of the run are ignored too.

        Raises:
            RunFolderError: data or a plugin changed since the run.
        """
        now = _digests(plan)
        suite = self.loaded.suite
        columns = {f"{metric}@{protocol}" for metric in suite.metrics for protocol in suite.protocols}
        known = {name: digest for name, digest in self.digests.items() if digest}
        left_out = {name for name in columns - now.keys() if plan.suite != suite}
        if narrowed:
            left_out |= known.keys() - now.keys()
        changed = [name for name, digest in known.items() if name not in left_out and now.get(name) != digest]
        if changed:
            named = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
            raise RunFolderError(
                f"{self.settings.out}: data or plugins changed since it was run ({named});"
                " its tables are left as they are: run its suite again, or put back what changed"
            )


class _Facts(BaseModel):
    """The facts that `describe` wrote. digests: None if the run never started."""

    suite: Suite
    source: str
    folder: Path
    data: Path | None
    plugins: list[Path]
    tasks: list[str] | None
    restorers: list[str] | None
    limit: int | None
    overrides: list[str] = []
    digests: dict[str, str] | None = None


def _digests(plan: Plan) -> dict[str, str]:
    cells: tuple[RestorerCell | DetectorCell, ...] = (*plan.restorer_cells, *plan.detector_cells)
    named = {f"{c.data.label}/{c.data.task}/{c.name}": c.digest for c in cells}
    return named | {column.name: column.digest if column.card else "" for column in plan.columns}


def describe(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Return what is needed to plan this run again, from any working folder."""
    request = settings.request
    return {
        "suite": plan.suite.model_dump(mode="json"),
        "source": plan.loaded.source,
        "folder": str(plan.loaded.folder),
        "data": None if settings.data is None else str(settings.data.resolve()),
        "plugins": [str(path.resolve()) for path in settings.plugins],
        "tasks": request.tasks,
        "restorers": request.restorers and (*request.restorers, *request.added),
        "limit": request.limit,
        "overrides": plan.loaded.overrides,
        "digests": _digests(plan),
    }


def require_same_suite(journal: Journal, plan: Plan) -> None:
    """Refuse a folder that holds a run of a suite with another name, because its tables would be replaced.

    Raises:
        RunFolderError: the folder holds such a run.
    """
    held = _facts(journal)
    if held is not None and (name := held.suite.suite) != plan.suite.suite:
        raise RunFolderError(
            f"{journal.folder} holds suite {name}, not {plan.suite.suite}; give another --out,"
            " or --fresh to put that run's journal aside and replace its tables"
        )


def reopen(folder: Path, plugins: Sequence[Path] = ()) -> Origin:
    """Return the origin of a run folder.

    plugins: the plugin files given by the user. A run folder may come from a stranger, so a plugin file is never
    imported only because the folder names it.

    Raises:
        RunFolderError: the folder holds no run, or one made with plugin files that are not given.
    """
    if not (folder / journals.FILE).is_file():
        raise RunFolderError(f"{folder} holds no run ({journals.FILE} is missing)")
    with journals.opened(folder) as journal:
        origin = _facts(journal)
    if origin is None or origin.digests is None:
        raise RunFolderError(f"{folder} holds a run that never started; run its suite again")
    _require_given(folder, origin.plugins, plugins)
    request = Request(
        tasks=None if origin.tasks is None else tuple(origin.tasks),
        restorers=None if origin.restorers is None else tuple(origin.restorers),
        limit=origin.limit,
    )
    settings = Settings(
        out=folder,
        data=origin.data,
        plugins=tuple(dict.fromkeys(path.resolve() for path in plugins)),
        request=request,
    )
    loaded = LoadedSuite(origin.suite, origin.source, origin.folder, overrides=tuple(origin.overrides))
    return Origin(loaded, settings, origin.digests)


def _facts(journal: Journal) -> _Facts | None:
    """Return the facts that a journal holds about its run; None if there are none.

    Raises:
        RunFolderError: the facts have another form, as in a journal from a stranger or another version.
    """
    held = journal.recall("run")
    try:
        return None if held is None else _Facts.model_validate(held)
    except ValidationError as error:
        keys = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunFolderError(
            f"{journal.folder} does not say what it was made from ({keys or 'run'}: {error.errors()[0]['msg']});"
            " give --fresh or another --out"
        ) from error


def _require_given(folder: Path, recorded: Sequence[Path], given: Sequence[Path]) -> None:
    """Refuse to go on without the recorded plugin files. Only names are compared: digests cover the content."""
    lacking = [path for path in recorded if path.name not in {each.name for each in given}]
    if lacking:
        flags = " ".join(f"--plugin {path}" for path in lacking)
        raise RunFolderError(
            f"{folder} was made with plugin files, whose code runs only if you give them yourself: {flags}"
        )


def run_folder(plan: Plan, settings: Settings) -> Path:
    """Return the folder of a run: the one that the user chose, or `runs/<suite>`."""
    return settings.out or Path("runs") / plan.suite.suite
