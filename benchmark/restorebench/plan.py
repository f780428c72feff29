"""Suite x catalogue -> plan: every cell that will run, its groups, its digest, and what is skipped and why.

A cell is one restorer (with its options) on one task of one dataset, told one thing. A group is a fixed
batch of same-size samples, cut from the unlimited index, so that --limit never regroups. Planning reads
image headers and bytes but decodes nothing and imports no torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from restorebench.catalog import Catalog, Entry, validated_options
from restorebench.contracts import (
    Card,
    DataRequest,
    DetectorInfo,
    MetricInfo,
    RestorerInfo,
    SampleInfo,
    ScoringProtocol,
    resolve,
)
from restorebench.digests import digest
from restorebench.errors import MissingResource, RestorebenchError, SuiteError, UnknownName, nearest
from restorebench.records import Board, CellFacts, Column, DetectorCellFacts, SampleFacts
from restorebench.suite import DatasetEntry, LoadedSuite, Overridden, RestorerEntry, Suite, explain_options
from restorebench.tasks import CLEAN, components


@dataclass(frozen=True)
class Request:
    """What the command line asks of a suite beyond its file."""

    tasks: tuple[str, ...] | None = None
    restorers: tuple[str, ...] | None = None
    limit: int | None = None
    roots: Mapping[str, Path] | None = None


@dataclass(frozen=True)
class ScoreColumn:
    """One metric under one protocol. digest: metric, its version, options and the protocol's every field."""

    name: str
    metric: str
    protocol: str
    digest: str
    card: MetricInfo | None
    unavailable: str = ""


@dataclass(frozen=True)
class DataCell:
    """One task of one dataset: its samples, those wanted now, and the groups they run in."""

    label: str
    name: str
    options: Mapping[str, Any]
    task: str
    samples: tuple[SampleInfo, ...]
    wanted: int
    groups: tuple[tuple[int, ...], ...]
    digest: str

    def facts(self) -> tuple[SampleFacts, ...]:
        """Describe the wanted samples for the tables."""
        return tuple(SampleFacts(s.id, s.scene, s.kind) for s in self.samples[: self.wanted])


@dataclass(frozen=True)
class DetectorCell:
    """One detector on one task of one dataset."""

    data: DataCell
    entry: Entry
    options: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class RestorerCell:
    """One restorer on one task of one dataset, told one thing."""

    data: DataCell
    entry: Entry
    options: Mapping[str, Any]
    label: str
    tell: str
    digest: str
    columns: tuple[ScoreColumn, ...]
    repetitions: int
    told_by: str = ""
    skipped: str = ""
    notes: tuple[str, ...] = ()

    @property
    def card(self) -> RestorerInfo:
        assert isinstance(self.entry.card, RestorerInfo)  # by construction: the entry's kind is restorer
        return self.entry.card


@dataclass(frozen=True)
class Plan:
    """Everything that will run, in the order of every table."""

    loaded: LoadedSuite
    catalog: Catalog
    roots: Mapping[str, Path]
    columns: tuple[ScoreColumn, ...]
    detector_cells: tuple[DetectorCell, ...]
    restorer_cells: tuple[RestorerCell, ...]
    notes: tuple[str, ...]

    @property
    def suite(self) -> Suite:
        """The validated suite."""
        return self.loaded.suite

    @property
    def board(self) -> Board:
        """What the tables need to know of this plan."""
        tasks = dict.fromkeys(c.data.task for c in self.restorer_cells if c.data.task != CLEAN)
        return Board(
            suite=self.suite.suite,
            version=self.suite.version,
            seed=self.suite.seed,
            tasks=tuple(task for task in self.suite.tasks if task in tasks),
            columns=tuple(_board_column(column) for column in self.columns),
            cells=tuple(_cell_facts(cell) for cell in self.restorer_cells),
            detector_cells=tuple(_detector_facts(cell) for cell in self.detector_cells),
        )

    def sources(self, cell: RestorerCell | DetectorCell) -> list[str]:
        """Name the plugins a worker must import for one cell, and no others."""
        metrics = {self.catalog.entry("metric", c.metric).source for c in self.columns if c.card}
        dataset = self.catalog.entry("dataset", cell.data.name).source
        degradations = self.catalog.sources("degradation")
        return sorted({cell.entry.source, dataset} | metrics | degradations)


def build(loaded: LoadedSuite, catalog: Catalog, request: Request = Request()) -> Plan:
    """Plan a suite.

    Raises:
        SuiteError: names or options in the suite that do not exist, all of them, with their places.
        MissingResource: data that are not there.
    """
    return _Planner(loaded, catalog, request).plan()


def misnamed(loaded: LoadedSuite, catalog: Catalog) -> list[str]:
    """List the names and options in a suite that do not exist, without looking at any data."""
    planner = _Planner(loaded, catalog, Request())
    planner.resolve_names()
    return planner.problems


@dataclass(frozen=True)
class _Resolved:
    """A suite's names, looked up."""

    tasks: list[str]
    columns: list[ScoreColumn]
    restorers: list[tuple[RestorerEntry, Entry, dict[str, Any]]]
    detectors: list[tuple[Entry, dict[str, Any]]]
    datasets: list[tuple[DatasetEntry, dict[str, Any]]]


class _Planner:
    """Collects every problem of a suite before raising, and caches data cells."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog, request: Request) -> None:
        self.loaded = loaded
        self.suite = loaded.suite
        self.catalog = catalog
        self.request = request
        self.roots = dict(request.roots or {})
        self.problems: list[str] = []
        self.notes: list[str] = []

    def resolve_names(self) -> _Resolved:
        """Look every name of the suite up, noting what is not there."""
        tasks = self._tasks()
        columns = self._columns()
        restorers = self._restorers()
        detectors = self._detectors(restorers)
        datasets = [
            (entry, self._options("dataset", entry.name, entry.options, "datasets", place))
            for place, entry in enumerate(self.suite.datasets)
        ]
        return _Resolved(tasks, columns, restorers, detectors, datasets)

    def plan(self) -> Plan:
        named = self.resolve_names()
        tasks, columns, restorers = named.tasks, named.columns, named.restorers
        detectors, datasets = named.detectors, named.datasets
        self._refuse()
        data = self._data_cells(tasks, datasets)
        detector_cells = [
            self._detector_cell(entry, options, cell) for cell in data for entry, options in detectors
        ]
        restorer_cells = [
            self._restorer_cell(entry, plugin, options, cell, columns, detector_cells)
            for cell in data
            for entry, plugin, options in restorers
        ]
        return Plan(
            self.loaded,
            self.catalog,
            self.roots,
            tuple(columns),
            tuple(detector_cells),
            tuple(restorer_cells),
            tuple(self.notes),
        )

    def _refuse(self) -> None:
        if self.problems:
            raise SuiteError("\n".join(dict.fromkeys(self.problems)))

    def _tasks(self) -> list[str]:
        known = [task.name for task in self.catalog.tasks]
        asked = list(self.suite.tasks)
        for place, task in enumerate(asked):
            for name in components(task):
                if name not in known:
                    where = self.loaded.at("tasks", place)
                    self.problems.append(f"{where}no task called {name!r}{nearest(name, known)}")
            if task == CLEAN:
                where = self.loaded.at("tasks", place)
                self.problems.append(f"{where}'clean' is no task; set clean_inputs: true instead")
            elif asked.index(task) != place:
                self.problems.append(f"{self.loaded.at('tasks', place)}{task!r} is listed twice")
        if self.request.tasks is None:
            return asked
        for name in self.request.tasks:
            if name not in asked:
                raise UnknownName(
                    f"--tasks: suite {self.suite.suite} has no task {name!r}{nearest(name, asked)};"
                    f" it has {', '.join(asked)}"
                )
        return [task for task in asked if task in self.request.tasks]

    def _columns(self) -> list[ScoreColumn]:
        cards: list[MetricInfo] = []
        for place, name in enumerate(self.suite.metrics):
            entry = self._entry("metric", name, "metrics", place)
            if entry is not None and isinstance(entry.card, MetricInfo):
                cards.append(entry.card)
        known = {p.name for e in self.catalog.of("metric") for p in _protocols(e.card)}
        for place, protocol in enumerate(self.suite.protocols):
            if protocol not in known:
                where = self.loaded.at("protocols", place)
                self.problems.append(f"{where}no protocol called {protocol!r}{nearest(protocol, known)}")
        return [_score_column(card, protocol) for protocol in self.suite.protocols for card in cards]

    def _restorers(self) -> list[tuple[RestorerEntry, Entry, dict[str, Any]]]:
        chosen: list[tuple[RestorerEntry, Entry, dict[str, Any]]] = []
        seen: dict[tuple[str, str], int] = {}
        labels = {entry.label or entry.name for entry in self.suite.restorers}
        wanted = self.request.restorers
        for name in wanted or ():
            if name not in labels:
                raise UnknownName(
                    f"--restorers: suite {self.suite.suite} has no restorer {name!r}{nearest(name, labels)};"
                    f" it has {', '.join(sorted(labels))}"
                )
        for place, item in enumerate(self.suite.restorers):
            label = item.label or item.name
            plugin = self._entry("restorer", item.name, "restorers", place, "name")
            options = self._options("restorer", item.name, item.options, "restorers", place)
            if (label, item.tell) in seen:
                where = self.loaded.at("restorers", place)
                self.problems.append(f"{where}{label!r} told {item.tell!r} is listed twice; give it a `label`")
            seen[label, item.tell] = place
            if item.tell not in {"nothing", "task"}:
                self._entry(
                    "detector",
                    item.tell,
                    "restorers",
                    place,
                    "tell",
                    hint="tell is nothing, task or a detector's name: ",
                )
            if plugin is not None and (wanted is None or label in wanted):
                chosen.append((item, plugin, options))
        return chosen

    def _detectors(
        self, restorers: Iterable[tuple[RestorerEntry, Entry, dict[str, Any]]]
    ) -> list[tuple[Entry, dict[str, Any]]]:
        chosen: dict[str, tuple[Entry, dict[str, Any]]] = {}
        for place, item in enumerate(self.suite.detectors):
            entry = self._entry("detector", item.name, "detectors", place, "name")
            options = self._options("detector", item.name, item.options, "detectors", place)
            if item.name in chosen:
                self.problems.append(f"{self.loaded.at('detectors', place)}{item.name!r} is listed twice")
            if entry is not None:
                chosen[item.name] = (entry, options)
        for told_by in dict.fromkeys(item.tell for item, _, _ in restorers):
            if told_by in {"nothing", "task"} or told_by in chosen:
                continue
            options = next((dict(d.options) for d in self.suite.detectors if d.name == told_by), {})
            if told_by in self.catalog.names("detector"):
                entry = self.catalog.entry("detector", told_by)
                chosen[told_by] = (entry, _validated(entry.card, options))
        return list(chosen.values())

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
            return _validated(entry.card, self._absolute(entry.card, options))
        except ValidationError as error:
            model = resolve(entry.card.options or BaseModel)
            self.problems.append(explain_options(self.loaded, model, error, key, place, "options"))
        except RestorebenchError as error:
            self.problems.append(f"{self.loaded.at(key, place, 'options')}{error}")
        return {}

    def _absolute(self, card: Card, options: Mapping[str, Any]) -> dict[str, Any]:
        """Make relative paths absolute: from --set to the working folder, else to the suite's folder."""
        model = resolve(card.options) if card.options is not None else None
        resolved = dict(options)
        for key, value in options.items():
            field = model.model_fields.get(key) if model is not None else None
            if field is None or not isinstance(value, str) or not _takes_path(field.annotation):
                continue
            base = Path.cwd() if isinstance(value, Overridden) else self.loaded.folder
            literal = value in _literals(field.annotation)
            resolved[key] = str(value) if literal else str(base / Path(value).expanduser())
        return resolved

    def _data_cells(
        self, tasks: Sequence[str], datasets: Sequence[tuple[DatasetEntry, dict[str, Any]]]
    ) -> list[DataCell]:
        cells: list[DataCell] = []
        labels: set[str] = set()
        for entry, options in datasets:
            label = entry.label or entry.name
            if label in labels:
                raise SuiteError(f"{self.loaded.source}: two datasets are called {label!r}; give one a `label`")
            labels.add(label)
            mine = [task for task in tasks if entry.tasks is None or task in entry.tasks]
            held = [cell for task in mine if (cell := self._data_cell(entry, options, task)).samples]
            for task in mine:
                if task not in {cell.task for cell in held}:
                    self.notes.append(f"dataset {label} holds no images for {task}")
            if not held:
                raise MissingResource(
                    f"dataset {label} holds no images for any of: {', '.join(mine)}; its options are {options}"
                )
            cells += held
            if self.suite.clean_inputs:
                cells.append(self._data_cell(entry, options, CLEAN))
        order = {task: place for place, task in enumerate([*tasks, CLEAN])}
        return sorted((cell for cell in cells if cell.samples), key=lambda cell: order[cell.task])

    def _data_cell(self, entry: DatasetEntry, options: dict[str, Any], task: str) -> DataCell:
        card = self.catalog.find("dataset", entry.name)
        request = DataRequest(task, self.suite.seed, self.roots, self.catalog.find)
        model = validated_options(card, options)
        samples = tuple(resolve(card.index)(model, request))
        ids = [sample.id for sample in samples]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise RestorebenchError(f"dataset {entry.name}: sample id {twice!r} occurs twice in {task}")
        limit = self.request.limit
        wanted = len(samples) if limit is None else min(limit, len(samples))
        content = digest(card.name, card.version, task, [asdict(sample) for sample in samples])
        groups = _groups(samples, wanted, self.suite.batch_size)
        return DataCell(entry.label or entry.name, entry.name, options, task, samples, wanted, groups, content)

    def _detector_cell(self, entry: Entry, options: dict[str, Any], data: DataCell) -> DetectorCell:
        weights = _weights(entry.card, options)
        identity = digest("detector", entry.card.name, entry.card.version, options, weights, data.digest)
        return DetectorCell(data, entry, options, identity)

    def _restorer_cell(
        self,
        item: RestorerEntry,
        entry: Entry,
        options: dict[str, Any],
        data: DataCell,
        columns: Sequence[ScoreColumn],
        detector_cells: Sequence[DetectorCell],
    ) -> RestorerCell:
        card = entry.card
        assert isinstance(card, RestorerInfo)  # by construction: the entry's kind is restorer
        told_by = next((d.digest for d in detector_cells if d.data is data and d.entry.card.name == item.tell), "")
        told = told_by or item.tell
        suite = self.suite
        tile = [suite.tile, suite.tile_overlap] if suite.tile else None
        identity = digest(
            "restorer",
            card.name,
            card.version,
            options,
            _weights(card, options),
            told,
            data.digest,
            suite.seed,
            tile,
        )
        skipped = ""
        if card.needs_task and item.tell == "nothing":
            skipped = "it needs to be told the task; set `tell: task` or a detector"
        meant = [column for column in columns if _applies(column, data)]
        usable = tuple(column for column in meant if not _too_small(column, data))
        notes = tuple(note for column in meant if (note := _too_small(column, data)))
        repetitions = suite.repetitions if card.stochastic else 1
        label = item.label or item.name
        return RestorerCell(
            data, entry, options, label, item.tell, identity, usable, repetitions, told_by, skipped, notes
        )


def _groups(samples: Sequence[SampleInfo], wanted: int, batch_size: int) -> tuple[tuple[int, ...], ...]:
    """Cut each size class of the whole index into fixed batches; keep those that hold a wanted sample."""
    classes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        classes[sample.height, sample.width].append(place)
    groups = [
        tuple(places[start : start + batch_size])
        for places in classes.values()
        for start in range(0, len(places), batch_size)
    ]
    return tuple(sorted(group for group in groups if group[0] < wanted))


def _validated(card: Card, options: Mapping[str, Any]) -> dict[str, Any]:
    model = validated_options(card, options)
    return {} if model is None else dict(model.model_dump(mode="json"))


def _weights(card: Card, options: Mapping[str, Any]) -> list[list[Any]]:
    resources = card.resources if isinstance(card, RestorerInfo | DetectorInfo) else None
    if resources is None:
        return []
    return [[w.name, w.sha256] for w in resolve(resources)(validated_options(card, options))]


def _protocols(card: Card) -> Sequence[ScoringProtocol]:
    return card.protocols if isinstance(card, MetricInfo) else ()


def _score_column(card: MetricInfo, protocol: str) -> ScoreColumn:
    found = card.protocol(protocol)
    name = f"{card.name}@{protocol}"
    if found is None:
        reason = f"{card.name} is not defined under protocol {protocol}"
        return ScoreColumn(name, card.name, protocol, "", None, reason)
    reason = resolve(card.unavailable)() if card.unavailable is not None else ""
    fields = {**asdict(found), "space": found.space.value}
    return ScoreColumn(
        name, card.name, protocol, digest(card.name, card.version, fields), None if reason else card, reason
    )


def _applies(column: ScoreColumn, data: DataCell) -> bool:
    """Tell whether a column is scored in a cell: available, and meant for its task."""
    card = column.card
    return card is not None and (not card.tasks or bool(set(components(data.task)) & set(card.tasks)))


def _too_small(column: ScoreColumn, data: DataCell) -> str:
    """Say why the images of a cell are too small for a column, or return an empty string."""
    card = column.card
    assert card is not None  # only asked of columns that apply
    protocol = card.protocol(column.protocol)
    assert protocol is not None  # a column without its protocol has no card
    smallest = min(min(sample.height, sample.width) for sample in data.samples)
    cropped = smallest - 2 * protocol.crop_border
    needed = max(1, card.minimum_size)
    if cropped - cropped % protocol.crop_multiple >= needed:
        return ""
    return f"no {column.name}: it needs {needed} px a side, the smallest image has {cropped}"


def _board_column(column: ScoreColumn) -> Column:
    card = column.card
    if card is None:
        return Column(column.name, higher_is_better=True, unavailable=column.unavailable)
    return Column(column.name, card.higher_is_better, card.decimals, card.unit)


def _cell_facts(cell: RestorerCell) -> CellFacts:
    scored = [[column.name, column.digest] for column in cell.columns]
    return CellFacts(
        restorer=cell.label,
        tell=cell.tell,
        task=cell.data.task,
        dataset=cell.data.label,
        training=cell.card.training.value,
        yardstick=cell.card.yardstick,
        digest=cell.digest,
        row_digest=digest(cell.digest, scored, [sample.id for sample in cell.data.samples[: cell.data.wanted]]),
        samples=cell.data.facts(),
        repetitions=cell.repetitions,
        skipped=cell.skipped,
        notes=cell.notes,
    )


def _detector_facts(cell: DetectorCell) -> DetectorCellFacts:
    card = cell.entry.card
    assert isinstance(card, DetectorInfo)  # by construction: the entry's kind is detector
    return DetectorCellFacts(
        card.name, cell.data.task, cell.data.label, card.tasks, cell.digest, cell.data.facts()
    )


def _takes_path(annotation: Any) -> bool:
    return annotation is Path or any(_takes_path(part) for part in get_args(annotation))


def _literals(annotation: Any) -> set[Any]:
    parts = get_args(annotation)
    return {part for part in parts if isinstance(part, str)} | {
        value for part in parts if not isinstance(part, str) for value in _literals(part)
    }


def with_parameters(board: Board, parameters: Mapping[str, int]) -> Board:
    """Return the board with parameter counts, known only after the restorers were loaded, by cell digest."""
    return replace(board, cells=tuple(replace(c, parameters=parameters.get(c.digest)) for c in board.cells))
