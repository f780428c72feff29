"""Look up every name and option of a suite in the catalogue, and collect all problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from restorebench.contract.cards import Card, MetricInfo, ScoringProtocol
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN, canonical, components
from restorebench.plan.columns import lay_out
from restorebench.plan.lookup import Lookup
from restorebench.plan.paths import anchored
from restorebench.plan.picks import Picked, Picks
from restorebench.plan.plan import ScoreColumn
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import DatasetPick, DetectorPick, RestorerPick
from restorebench.suite.settings import Request


@dataclass(frozen=True)
class Named:
    """The names of a suite after lookup. Options have their defaults filled in and are JSON-ready.

    loaded: the suite with absolute paths. restorers: a `tell` that names a detector holds the detector's label.
    problems: mistakes in the suite. notes: what is left out, and why. missing: files that options name but that
    do not exist. left_out: those of the notes that are about optional detectors.
    """

    loaded: LoadedSuite
    tasks: list[str]
    columns: list[ScoreColumn]
    restorers: list[Picked[RestorerPick]]
    detectors: list[Picked[DetectorPick]]
    datasets: list[tuple[DatasetPick, dict[str, Any]]]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def look_up(loaded: LoadedSuite, catalog: Catalog, request: Request) -> Named:
    """Look up every name of a suite, without reading any data.

    Raises:
        UnknownName: --tasks or --restorers is empty or names something that the suite does not have.
    """
    absolute, problems = anchored(loaded, catalog)
    return _Names(absolute, catalog, request, problems).look_up()


class _Names:
    """The lookup of one suite. It notes every problem with its position."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog, request: Request, problems: list[str]) -> None:
        self.loaded = loaded
        self.suite = loaded.suite
        self.catalog = catalog
        self.request = request
        self.problems = problems
        self.lookup = Lookup(loaded, catalog, problems)
        self.notes: list[str] = []

    def look_up(self) -> Named:
        tasks = self._tasks()
        columns = self._columns()
        self._reports()
        if not self.suite.restorers and not self.suite.detectors:
            self.problems.append(
                f"{self.loaded.at('restorers')}is empty, and so is `detectors`; name a restorer or a detector"
            )
        if self.request.limit is not None and self.request.limit < 1:
            raise RestorebenchError(f"--limit {self.request.limit}: takes no image; give 1 or more")
        picks = Picks(self.lookup, self.request)
        restorers = picks.restorers()
        detectors = picks.detectors(restorers)
        self._datasets_tasks(tasks)
        datasets = [
            (pick, self.lookup.options("dataset", pick.name, pick.options, "datasets", index))
            for index, pick in enumerate(self.suite.datasets)
        ]
        return Named(
            self.loaded,
            tasks,
            columns,
            restorers,
            detectors,
            datasets,
            tuple(dict.fromkeys(self.problems)),
            (*self.notes, *picks.notes, *picks.left_out),
            tuple(picks.missing),
            tuple(picks.left_out),
        )

    def _tasks(self) -> list[str]:
        known = [task.name for task in self.catalog.tasks]
        asked = list(self.suite.tasks)
        self._tasks_once(asked)
        for index, task in enumerate(asked):
            for name in components(task):
                if name not in known:
                    where = self.loaded.at("tasks", index)
                    self.problems.append(f"{where}no task called {name!r}{nearest(name, known)}")
            if task == CLEAN:
                where = self.loaded.at("tasks", index)
                self.problems.append(f"{where}'clean' is not a task; set clean_inputs: true instead")
        if self.request.tasks is None:
            return asked
        if not self.request.tasks:
            raise UnknownName(f"--tasks: names none; suite {self.suite.suite} has {', '.join(asked)}")
        wanted = {canonical(name) for name in self.request.tasks}
        for name in self.request.tasks:
            if canonical(name) not in map(canonical, asked):
                raise UnknownName(
                    f"--tasks: suite {self.suite.suite} has no task {name!r}{nearest(name, asked)};"
                    f" it has {', '.join(asked)}"
                )
        return [task for task in asked if canonical(task) in wanted]

    def _tasks_once(self, asked: Sequence[str]) -> None:
        """Note tasks that are listed twice, in any order of their parts, and tasks that name a part twice."""
        first: dict[str, str] = {}
        for index, task in enumerate(asked):
            where, ordered = self.loaded.at("tasks", index), canonical(task)
            if len(set(components(task))) != len(components(task)):
                self.problems.append(f"{where}{task!r} names a degradation twice; name each once")
            elif ordered in first:
                other = "" if first[ordered] == task else f", as {first[ordered]!r}"
                self.problems.append(f"{where}{task!r} is listed twice{other}")
            first.setdefault(ordered, task)

    def _datasets_tasks(self, chosen: Sequence[str]) -> None:
        """Check the tasks of each dataset, and that at least one dataset has a task that --tasks selects."""
        asked = self.suite.tasks
        for index, pick in enumerate(self.suite.datasets):
            for number, task in enumerate(pick.tasks or ()):
                where = self.loaded.at("datasets", index, "tasks", number)
                if task not in asked:
                    self.problems.append(f"{where}{task!r} is not a task of this suite{nearest(task, asked)}")
                elif pick.tasks is not None and pick.tasks.index(task) != number:
                    self.problems.append(f"{where}{task!r} is listed twice")
            if pick.tasks == []:
                where = self.loaded.at("datasets", index, "tasks")
                self.problems.append(f"{where}is empty; name a task, or leave `tasks` out to take all")
        taken = {task for pick in self.suite.datasets for task in (asked if pick.tasks is None else pick.tasks)}
        if self.suite.datasets and not self.problems and not taken & set(chosen):
            raise UnknownName(
                f"--tasks: no dataset of suite {self.suite.suite} takes {', '.join(chosen)};"
                f" they take {', '.join(task for task in asked if task in taken)}"
            )

    def _columns(self) -> list[ScoreColumn]:
        entries: list[Entry] = []
        self.lookup.each_once("metrics", self.suite.metrics)
        self.lookup.each_once("protocols", self.suite.protocols)
        for index, name in enumerate(self.suite.metrics):
            entry = self.lookup.entry("metric", name, "metrics", index)
            if entry is not None and isinstance(entry.card, MetricInfo):
                entries.append(entry)
        known = {p.name for e in self.catalog.of("metric") for p in _protocols(e.card)}
        for index, protocol in enumerate(self.suite.protocols):
            if protocol not in known:
                where = self.loaded.at("protocols", index)
                self.problems.append(f"{where}no protocol called {protocol!r}{nearest(protocol, known)}")
        laid_out = lay_out(entries, [protocol for protocol in self.suite.protocols if protocol in known])
        if laid_out.undefined and not laid_out.columns:
            where, names = self.loaded.at("protocols"), ", ".join(laid_out.undefined)
            self.problems.append(f"{where}no metric is defined under any of them: {names}")
        self.notes += laid_out.notes()
        return laid_out.columns

    def _reports(self) -> None:
        self.lookup.each_once("reports", [pick.name for pick in self.suite.reports])
        for index, pick in enumerate(self.suite.reports):
            if self.lookup.entry("reporter", pick.name, "reports", index) is not None:
                self.lookup.options("reporter", pick.name, pick.options, "reports", index)


def _protocols(card: Card) -> Sequence[ScoringProtocol]:
    return card.protocols if isinstance(card, MetricInfo) else ()
