"""Build a plan from suite and catalogue. Reads image headers and bytes; no image is decoded, no torch imported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from restorebench.contract.blame import blaming
from restorebench.contract.cards import DatasetInfo, DetectorInfo, RestorerInfo, resolve
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import (
    BrokenPlugin,
    ContractViolation,
    MissingResource,
    RestorebenchError,
    SuiteError,
)
from restorebench.contract.tasks import CLEAN, components
from restorebench.contract.values import DataRequest, SampleInfo
from restorebench.guest.surroundings import absolute_paths
from restorebench.plan.names import Named, look_up
from restorebench.plan.picks import Picked
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell, ScoreColumn, TaskData
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import DatasetPick, DetectorPick, RestorerPick
from restorebench.suite.settings import Request
from restorebench.toolbox.contents import Contents
from restorebench.toolbox.digests import digest
from restorebench.toolbox.options import validated_options


def build(loaded: LoadedSuite, catalog: Catalog, request: Request = Request()) -> Plan:
    """Plan a suite.

    Raises:
        SuiteError: lists every name or option in the suite that does not exist, with its position.
        MissingResource: data are missing.
    """
    named = look_up(loaded, catalog, request)
    if named.problems:
        raise SuiteError("\n".join(named.problems))
    return _Planner(named.loaded, catalog, request).plan(named)


class _Planner:
    """A builder of the cells of a plan, which notes the tasks for which a dataset has no images."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog, request: Request) -> None:
        self.loaded = loaded
        self.suite = loaded.suite
        self.catalog = catalog
        self.request = request
        self.roots = dict(request.roots or {})
        self.contents = Contents()
        self.notes: list[str] = []

    def plan(self, named: Named) -> Plan:
        self.notes += named.notes
        data = self._data_cells(named.tasks, named.datasets)
        detector_cells = [self._detector_cell(picked, cell) for cell in data for picked in named.detectors]
        restorer_cells = [
            self._restorer_cell(picked, cell, named.columns, detector_cells)
            for cell in data
            for picked in named.restorers
        ]
        return Plan(
            self.loaded,
            self.catalog,
            self.roots,
            tuple(named.tasks),
            tuple(named.columns),
            tuple(detector_cells),
            tuple(restorer_cells),
            tuple(self.notes),
            self.request.limit,
            named.missing,
            named.left_out,
        )

    def _data_cells(
        self, tasks: Sequence[str], datasets: Sequence[tuple[DatasetPick, dict[str, Any]]]
    ) -> list[TaskData]:
        cells: list[TaskData] = []
        labels: set[str] = set()
        for pick, options in datasets:
            label = pick.label or pick.name
            if label in labels:
                raise SuiteError(f"{self.loaded.source}: two datasets are called {label!r}; give one a `label`")
            labels.add(label)
            own_tasks = [task for task in tasks if pick.tasks is None or task in pick.tasks]
            if not own_tasks and self.request.tasks is not None:
                continue  # --tasks selects none of its tasks
            found = [cell for task in own_tasks if (cell := self._data_cell(pick, options, task)).samples]
            for task in own_tasks:
                if task not in {cell.task for cell in found}:
                    self.notes.append(f"dataset {label} holds no images for {task}")
            if not found:
                names = ", ".join(own_tasks)
                raise MissingResource(
                    f"dataset {label} holds no images for any of: {names}; its options are {options}"
                )
            cells += found
            if self.suite.clean_inputs:
                cells.append(self._data_cell(pick, options, CLEAN))
        order = {task: index for index, task in enumerate([*tasks, CLEAN])}
        return sorted((cell for cell in cells if cell.samples), key=lambda cell: order[cell.task])

    def _data_cell(self, pick: DatasetPick, options: dict[str, Any], task: str) -> TaskData:
        entry = self.catalog.entry("dataset", pick.name)
        card = entry.card
        assert isinstance(card, DatasetInfo)  # by construction: the entry's kind is dataset
        used = _Used(self.catalog)
        request = DataRequest(task, self.suite.seed, self.roots, used.find)
        model = validated_options(card, options)
        with self._located(pick), blaming(card, f"listing its samples of {task}"):
            samples = tuple(resolve(card.index)(model, request))
            wrong = [sample for sample in samples if not isinstance(sample, SampleInfo)]
            if wrong:
                raise ContractViolation(f"dataset {card.name!r}: `index` returned a {type(wrong[0]).__name__}")
        for sample in samples:
            _require_text(card.name, sample)
        ids = [sample.id for sample in samples]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise RestorebenchError(f"dataset {pick.name}: sample id {twice!r} occurs twice in {task}")
        limit = self.request.limit
        wanted = len(samples) if limit is None else min(limit, len(samples))
        listed = [asdict(sample) for sample in samples]
        content = digest(card.name, entry.edition, task, listed, *used.code())
        groups = _groups(samples, wanted, self.suite.batch_size)
        return TaskData(pick.label or pick.name, pick.name, options, task, samples, wanted, groups, content)

    @contextmanager
    def _located(self, pick: DatasetPick) -> Iterator[None]:
        """Prefix errors about a dataset's data with the position in the suite file that names the data."""
        try:
            yield
        except (BrokenPlugin, ContractViolation):
            raise  # a fault of the plugin, not of the suite
        except RestorebenchError as error:
            index = self.suite.datasets.index(pick)
            named = [key for key, value in pick.options.items() if isinstance(value, str) and value in str(error)]
            where = self.loaded.placed("datasets", index, "options", *named[:1])
            raise type(error)(f"{where}{error}") from error

    def _detector_cell(self, picked: Picked[DetectorPick], data: TaskData) -> DetectorCell:
        pick, entry, options = picked.pick, picked.entry, picked.options
        card = entry.card
        assert isinstance(card, DetectorInfo)  # by construction: the entry's kind is detector
        given, weights, files = self._identity(card, options)
        # Without resizing, a detector keeps the digest that it had before the key `resize` existed.
        resized = [] if pick.resize == 1 else [["resize", pick.resize]]
        identity = digest("detector", card.name, entry.edition, given, weights, data.digest, *resized)
        named = tuple(map(str, absolute_paths(pick.options)))
        return DetectorCell(data, entry, options, pick.label or pick.name, identity, pick.resize, files, named)

    def _restorer_cell(
        self,
        picked: Picked[RestorerPick],
        data: TaskData,
        columns: Sequence[ScoreColumn],
        detector_cells: Sequence[DetectorCell],
    ) -> RestorerCell:
        pick, entry, options = picked.pick, picked.entry, picked.options
        card = entry.card
        assert isinstance(card, RestorerInfo)  # by construction: the entry's kind is restorer
        told_by = next((d.digest for d in detector_cells if d.data is data and d.label == pick.tell), "")
        told = told_by or pick.tell
        suite = self.suite
        tile = [suite.tile, suite.tile_overlap] if suite.tile else None
        given, weights, files = self._identity(card, options)
        identity = digest(
            "restorer",
            card.name,
            entry.edition,
            given,
            weights,
            told,
            data.digest,
            suite.seed,
            tile,
        )
        skipped = ""
        if card.needs_task and pick.tell == "nothing":
            skipped = "it needs to be told the task; set `tell: task` or a detector"
        meant = [column for column in columns if _applies(column, data)]
        usable = tuple(column for column in meant if not _too_small(column, data))
        return RestorerCell(
            data=data,
            entry=entry,
            options=options,
            label=pick.label or pick.name,
            tell=pick.tell,
            digest=identity,
            columns=usable,
            repetitions=suite.repetitions if card.stochastic else 1,
            told_by=told_by,
            skipped=skipped,
            notes=tuple(note for column in meant if (note := _too_small(column, data))),
            files=files,
            named=tuple(map(str, absolute_paths(pick.options))),
        )

    def _identity(
        self, card: RestorerInfo | DetectorInfo, options: Mapping[str, Any]
    ) -> tuple[Any, list[list[str]], dict[str, str]]:
        """Return a card's options and weights as they enter digests, and the files that both name."""
        model = validated_options(card, options)
        weights: list[list[str]] = []
        if card.resources is not None:
            with blaming(card, "naming its weights"):
                weights = [[weight.name, weight.sha256] for weight in resolve(card.resources)(model)]
        named = {name: f"sha256:{known}" if known else "" for name, known in weights}
        return self.contents.identity(model), weights, named | self.contents.files(model)


class _Used:
    """The `find` of a dataset, which records the other cards, such as degradations, that its index looks up."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._entries: dict[tuple[str, str], Entry] = {}

    def find(self, kind: str, name: str) -> Any:
        entry = self._catalog.entry(kind, name)
        self._entries[kind, name] = entry
        return entry.card

    def code(self) -> list[list[str]]:
        """List the code of these cards, except for our own, whose versions are in the samples' digests."""
        return sorted([kind, name, entry.code] for (kind, name), entry in self._entries.items() if entry.code)


def _require_text(dataset: str, sample: SampleInfo) -> None:
    """Refuse a sample whose fields are not UTF-8, as the journal and tables need: file names may be any bytes."""
    for field, value in (("id", sample.id), ("scene", sample.scene), ("kind", sample.kind)):
        if not isinstance(value, str) or (field == "id" and not value):
            raise ContractViolation(f"dataset {dataset!r}: the {field} of a sample is {value!r}, expected text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RestorebenchError(
                f"dataset {dataset}: sample {value!r:.200} is not UTF-8; rename its file or folder"
            ) from None


def _groups(samples: Sequence[SampleInfo], wanted: int, batch_size: int) -> tuple[tuple[int, ...], ...]:
    """Cut the images of each size into fixed batches, over the whole index; keep batches with a wanted sample."""
    classes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        classes[sample.height, sample.width].append(index)
    groups = [
        tuple(indices[start : start + batch_size])
        for indices in classes.values()
        for start in range(0, len(indices), batch_size)
    ]
    return tuple(sorted(group for group in groups if group[0] < wanted))


def _applies(column: ScoreColumn, data: TaskData) -> bool:
    """Return whether a column is scored in a cell: it must be available and meant for the cell's task."""
    card = column.card
    of_task = {*components(data.task)} or {CLEAN}
    return card is not None and (not card.tasks or bool(of_task & set(card.tasks)))


def _too_small(column: ScoreColumn, data: TaskData) -> str:
    """Say why the images of a cell are too small for a column, or return an empty string."""
    card = column.card
    assert card is not None  # only called for columns that apply
    protocol = card.protocol(column.protocol)
    assert protocol is not None  # a column without its protocol has no card
    smallest = min(min(sample.height, sample.width) for sample in data.samples)
    cropped = smallest - 2 * protocol.crop_border
    needed = max(1, card.minimum_size)
    if cropped - cropped % protocol.crop_multiple >= needed:
        return ""
    return f"no {column.name}: it needs {needed} px a side, the smallest image has {cropped}"
