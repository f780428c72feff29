"""Look every name and option of a suite up in the catalogue, and collect all that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from restorebench.contract.blame import guarded
from restorebench.contract.cards import Card, DetectorInfo, MetricInfo, ScoringProtocol, resolve
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN, canonical, components
from restorebench.contract.values import WeightFile
from restorebench.plan.columns import lay_out
from restorebench.plan.paths import anchored
from restorebench.plan.plan import ScoreColumn
from restorebench.suite.loading import LoadedSuite, explain_options
from restorebench.suite.model import NOT_DETECTORS, DatasetEntry, DetectorEntry, RestorerEntry
from restorebench.suite.settings import Request
from restorebench.toolbox import weights
from restorebench.toolbox.contents import paths_in
from restorebench.toolbox.options import options_model, validated_options
from restorebench.toolbox.places import cache_folder


@dataclass(frozen=True)
class Named:
    """A suite's names, looked up; options are complete with defaults and JSON-ready.

    loaded: the suite, its paths made absolute. restorers: what each `tell` names is a detector's label, if any.
    problems: what is wrong. notes: what is left out, and why. missing: files that options name and are
    not there.
    """

    loaded: LoadedSuite
    tasks: list[str]
    columns: list[ScoreColumn]
    restorers: list[tuple[RestorerEntry, Entry, dict[str, Any]]]
    detectors: list[tuple[DetectorEntry, Entry, dict[str, Any]]]
    datasets: list[tuple[DatasetEntry, dict[str, Any]]]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def look_up(loaded: LoadedSuite, catalog: Catalog, request: Request) -> Named:
    """Look every name of a suite up, without touching any data.

    Raises:
        UnknownName: the command line names a task or restorer that the suite does not have, or none at all.
    """
    absolute, problems = anchored(loaded, catalog)
    return _Names(absolute, catalog, request, problems).look_up()


class _Names:
    """Goes through a suite, noting every problem with its place."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog, request: Request, problems: list[str]) -> None:
        self.loaded = loaded
        self.suite = loaded.suite
        self.catalog = catalog
        self.request = request
        self.problems = problems
        self.notes: list[str] = []
        self.missing: list[str] = []

    def look_up(self) -> Named:
        tasks = self._tasks()
        columns = self._columns()
        self._reports()
        if not self.suite.restorers and not self.suite.detectors:
            self.problems.append(
                f"{self.loaded.at('restorers')}is empty, and so is `detectors`; name one of either"
            )
        if self.request.limit is not None and self.request.limit < 1:
            raise RestorebenchError(f"--limit {self.request.limit}: takes no image; give 1 or more")
        restorers = self._restorers()
        detectors = self._detectors(restorers)
        self._datasets_tasks(tasks)
        datasets = [
            (entry, self._options("dataset", entry.name, entry.options, "datasets", place))
            for place, entry in enumerate(self.suite.datasets)
        ]
        return Named(
            self.loaded,
            tasks,
            columns,
            restorers,
            detectors,
            datasets,
            tuple(dict.fromkeys(self.problems)),
            tuple(self.notes),
            tuple(self.missing),
        )

    def _tasks(self) -> list[str]:
        known = [task.name for task in self.catalog.tasks]
        asked = list(self.suite.tasks)
        self._tasks_once(asked)
        for place, task in enumerate(asked):
            for name in components(task):
                if name not in known:
                    where = self.loaded.at("tasks", place)
                    self.problems.append(f"{where}no task called {name!r}{nearest(name, known)}")
            if task == CLEAN:
                where = self.loaded.at("tasks", place)
                self.problems.append(f"{where}'clean' is no task; set clean_inputs: true instead")
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
        """Note tasks that are listed twice, in any order of their parts, and parts that are named twice."""
        first: dict[str, str] = {}
        for place, task in enumerate(asked):
            where, same = self.loaded.at("tasks", place), canonical(task)
            if len(set(components(task))) != len(components(task)):
                self.problems.append(f"{where}{task!r} names a degradation twice; name each once")
            elif same in first:
                other = "" if first[same] == task else f", as {first[same]!r}"
                self.problems.append(f"{where}{task!r} is listed twice{other}")
            first.setdefault(same, task)

    def _datasets_tasks(self, chosen: Sequence[str]) -> None:
        """Check the tasks that datasets are limited to, and that one of them holds what --tasks asks for."""
        asked = self.suite.tasks
        for place, entry in enumerate(self.suite.datasets):
            for number, task in enumerate(entry.tasks or ()):
                where = self.loaded.at("datasets", place, "tasks", number)
                if task not in asked:
                    self.problems.append(f"{where}{task!r} is no task of this suite{nearest(task, asked)}")
                elif entry.tasks is not None and entry.tasks.index(task) != number:
                    self.problems.append(f"{where}{task!r} is listed twice")
            if entry.tasks == []:
                where = self.loaded.at("datasets", place, "tasks")
                self.problems.append(f"{where}is empty; name a task, or leave `tasks` out to take all")
        taken = {task for entry in self.suite.datasets for task in (asked if entry.tasks is None else entry.tasks)}
        if self.suite.datasets and not self.problems and not taken & set(chosen):
            raise UnknownName(
                f"--tasks: no dataset of suite {self.suite.suite} takes {', '.join(chosen)};"
                f" they take {', '.join(task for task in asked if task in taken)}"
            )

    def _columns(self) -> list[ScoreColumn]:
        cards: list[Entry] = []
        self._each_once("metrics", self.suite.metrics)
        self._each_once("protocols", self.suite.protocols)
        for place, name in enumerate(self.suite.metrics):
            entry = self._entry("metric", name, "metrics", place)
            if entry is not None and isinstance(entry.card, MetricInfo):
                cards.append(entry)
        known = {p.name for e in self.catalog.of("metric") for p in _protocols(e.card)}
        for place, protocol in enumerate(self.suite.protocols):
            if protocol not in known:
                where = self.loaded.at("protocols", place)
                self.problems.append(f"{where}no protocol called {protocol!r}{nearest(protocol, known)}")
        laid_out = lay_out(cards, [protocol for protocol in self.suite.protocols if protocol in known])
        if laid_out.undefined and not laid_out.columns:
            where, names = self.loaded.at("protocols"), ", ".join(laid_out.undefined)
            self.problems.append(f"{where}no metric is defined under any of them: {names}")
        self.notes += laid_out.notes()
        return laid_out.columns

    def _reports(self) -> None:
        self._each_once("reports", self.suite.reports)
        for place, name in enumerate(self.suite.reports):
            self._entry("reporter", name, "reports", place)

    def _each_once(self, key: str, names: Sequence[str]) -> None:
        for place, name in enumerate(names):
            if names.index(name) != place:
                self.problems.append(f"{self.loaded.at(key, place)}{name!r} is listed twice")

    def _restorers(self) -> list[tuple[RestorerEntry, Entry, dict[str, Any]]]:
        chosen: list[tuple[RestorerEntry, Entry, dict[str, Any]]] = []
        seen: dict[tuple[str, str], int] = {}
        labels = {entry.label or entry.name for entry in self.suite.restorers}
        wanted = self.request.restorers
        if wanted is not None and not wanted:
            raise UnknownName(f"--restorers: names none; suite {self.suite.suite} has {', '.join(sorted(labels))}")
        for name in wanted or ():
            if name not in labels:
                raise UnknownName(
                    f"--restorers: suite {self.suite.suite} has no restorer {name!r}{nearest(name, labels)};"
                    f" it has {', '.join(sorted(labels))}"
                )
        for place, item in enumerate(self.suite.restorers):
            label = item.label or item.name
            item = item.model_copy(update={"tell": self._told_by(item.tell, place)})
            plugin = self._entry("restorer", item.name, "restorers", place, "name")
            options = self._options("restorer", item.name, item.options, "restorers", place)
            if (label, item.tell) in seen:
                where = self.loaded.at("restorers", place)
                self.problems.append(f"{where}{label!r} told {item.tell!r} is listed twice; give it a `label`")
            seen[label, item.tell] = place
            if plugin is not None and (wanted is None or label in wanted):
                self._files_there(plugin.card, options, "restorers", place)
                chosen.append((item, plugin, options))
        return chosen

    def _told_by(self, tell: str, place: int) -> str:
        """Return what a restorer is told, a detector by its label; one by its name, if that leaves no choice."""
        labels = [item.label or item.name for item in self.suite.detectors]
        if tell in (*NOT_DETECTORS, *labels):
            return tell
        named = [item.label or item.name for item in self.suite.detectors if item.name == tell]
        if len(named) > 1:
            where = self.loaded.at("restorers", place, "tell")
            self.problems.append(f"{where}{tell!r} is listed as {', '.join(named)}; say which")
        elif not named:
            hint = "tell is nothing, task or a detector's label or name: "
            self._entry("detector", tell, "restorers", place, "tell", hint=hint)
        return named[0] if named else tell

    def _detectors(
        self, restorers: Sequence[tuple[RestorerEntry, Entry, dict[str, Any]]]
    ) -> list[tuple[DetectorEntry, Entry, dict[str, Any]]]:
        chosen: dict[str, tuple[DetectorEntry, Entry, dict[str, Any]]] = {}
        seen: set[str] = set()
        for place, item in enumerate(self.suite.detectors):
            label = item.label or item.name
            entry = self._entry("detector", item.name, "detectors", place, "name")
            options = self._options("detector", item.name, item.options, "detectors", place)
            if label in seen:
                where = self.loaded.at("detectors", place)
                self.problems.append(f"{where}{label!r} is listed twice; give it a `label`")
            if label in NOT_DETECTORS:
                where = self.loaded.at("detectors", place, "label")
                self.problems.append(f"{where}{label!r} means something else under `tell`; choose another")
            seen.add(label)
            if entry is None:
                continue
            tells = any(restorer.tell == label for restorer, _, _ in restorers)
            if item.optional and not tells and (file := _absent(entry.card, options)):
                self.notes.append(f"detector {label} is optional and left out: {file} is not in {cache_folder()}")
            else:
                self._files_there(entry.card, options, "detectors", place)
                chosen[label] = (item, entry, options)
        for told_by in dict.fromkeys(item.tell for item, _, _ in restorers):
            if told_by not in {*NOT_DETECTORS, *seen} and (unlisted := self._unlisted(told_by)):
                chosen[told_by] = (DetectorEntry(name=told_by), *unlisted)
        return list(chosen.values())

    def _files_there(self, card: Card, options: Mapping[str, Any], key: str, place: int) -> None:
        """Note the paths in options at which there is nothing; what a dataset lacks it says itself."""
        with suppress(ValidationError, RestorebenchError):  # noted of the options before
            model = validated_options(card, options)
            for keys, path in paths_in({} if model is None else model.model_dump()):
                if not path.exists():
                    where = self.loaded.placed(key, place, "options", *keys)
                    self.missing.append(f"{where}{path}: no such file or folder; correct the path")

    def _unlisted(self, detector: str) -> tuple[Entry, dict[str, Any]] | None:
        """Take a detector that only tells restorers, with its default options."""
        place = next(n for n, item in enumerate(self.suite.restorers) if item.tell == detector)
        try:
            entry = self.catalog.entry("detector", detector)
        except RestorebenchError:
            return None  # said of the restorer
        try:
            return entry, _validated(entry.card, {})
        except (ValidationError, RestorebenchError) as error:
            why = _first_problem(error) if isinstance(error, ValidationError) else str(error)
            where = self.loaded.at("restorers", place, "tell")
            self.problems.append(f"{where}detector {detector!r}: {why}; list it under `detectors` with `options`")
            return None

    def _entry(self, kind: str, name: str, *path: str | int, hint: str = "") -> Entry | None:
        try:
            entry = self.catalog.entry(kind, name)
        except RestorebenchError as error:
            self.problems.append(f"{self.loaded.at(*path)}{hint}{error}")
            return None
        if entry.unavailable:
            self.problems.append(f"{self.loaded.at(*path)}{kind} {name!r} {entry.unavailable}")
            return None
        return entry

    def _options(self, kind: str, name: str, options: Mapping[str, Any], key: str, place: int) -> dict[str, Any]:
        """Validate one entry's options; returns them complete with defaults, JSON-ready."""
        entry = self._entry(kind, name, key, place, "name") if name in self.catalog.names(kind) else None
        if entry is None:
            if kind == "dataset":
                self._entry(kind, name, key, place, "name")
            return {}
        try:
            return _validated(entry.card, options)
        except ValidationError as error:
            model = options_model(entry.card) or BaseModel
            self.problems.append(explain_options(self.loaded, model, error, key, place, "options"))
        except RestorebenchError as error:
            self.problems.append(f"{self.loaded.at(key, place, 'options')}{error}")
        return {}


def _validated(card: Card, options: Mapping[str, Any]) -> dict[str, Any]:
    model = validated_options(card, options)
    return {} if model is None else dict(model.model_dump(mode="json"))


def _absent(card: Card, options: Mapping[str, Any]) -> str:
    """Name a published file that a card needs under some options and that is not in the cache."""
    resources = card.resources if isinstance(card, DetectorInfo) else None
    if resources is None:
        return ""
    with guarded(card, "naming its weights"):
        files: Sequence[WeightFile] = resolve(resources)(validated_options(card, options))
    return next((file.name for file in files if not weights.present(file, cache_folder())), "")


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return " ".join([*(f"option {part!r}:" for part in first["loc"][:1]), first["msg"]])


def _protocols(card: Card) -> Sequence[ScoringProtocol]:
    return card.protocols if isinstance(card, MetricInfo) else ()
