"""The objects that a worker keeps loaded between groups: the last dataset, metrics and method."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from restorebench.contract.cards import MetricInfo, resolve
from restorebench.contract.catalog import Catalog, discover
from restorebench.contract.code import code_of, require_code
from restorebench.contract.errors import ContractViolation, MissingResource, RestorebenchError
from restorebench.contract.values import DataRequest, Dataset, Runtime
from restorebench.guest import memory, serving
from restorebench.guest.messages import Load
from restorebench.guest.method import Here, Method, parameters
from restorebench.guest.reasons import failure_of
from restorebench.guest.surroundings import absolute_paths
from restorebench.records import IN_PROCESS
from restorebench.toolbox import weights
from restorebench.toolbox.contents import paths
from restorebench.toolbox.counts import counted
from restorebench.toolbox.digests import digest
from restorebench.toolbox.options import validated_options
from restorebench.worker.hosting import Host
from restorebench.worker.jobs import CellSpec, ColumnSpec, DatasetSpec, Setup
from restorebench.worker.scoring import LoadedMetric


class Shelf:
    """The loaded objects, each replaced only if a cell needs another one. warm: the method has worked before."""

    def __init__(self, setup: Setup, device: torch.device, host: Host | None = None) -> None:
        """Start empty. host: loads methods in guests; without it they are loaded in this process."""
        self.catalog: Catalog
        self.warm = False
        self._setup = setup
        self._device = device
        self._host = host
        self._sources: Mapping[str, str] | None = None
        self._loaded: dict[str, tuple[str, Any]] = {}

    def prepare(self, cell: CellSpec) -> None:
        """Import a cell's sources; load its data and its metrics. The code of its method is checked here too."""
        source = cell.method.source
        require_code(source.partition(":")[2], code_of(source), cell.method.code)
        self._discover(cell.sources)
        self._once("data", asdict(cell.dataset), lambda: self._load_data(cell.dataset))
        columns = [asdict(column) for column in cell.columns]
        self._once("metrics", columns, lambda: self._load_metrics(cell.columns))

    def take_method(self, cell: CellSpec) -> int | None:
        """Load a cell's restorer or detector; return its number of parameters, None if it has no module."""
        key = [cell.kind, cell.name, cell.options, cell.method.source, cell.method.code]
        self._once("method", key, lambda: self._load_method(cell))
        number: int | None = self._loaded["method"][1][1]
        return number

    @property
    def method(self) -> Method:
        """The restorer or detector; what it returns is checked where it is called."""
        method: Method = self._loaded["method"][1][0]
        return method

    def unconfined(self, cell: CellSpec) -> str:
        """Return why the method could see what it should not; "" if it is confined."""
        if self._host is None:
            return IN_PROCESS
        shared = "its plugin also gives data, metrics or reports" if cell.method.imported else ""
        return self._host.unconfined or shared

    def resident_mib(self) -> float:
        """Return the memory that this process and its guest hold now, in MiB."""
        return memory.resident_mib() + (0.0 if self._host is None else self._host.resident_mib())

    @property
    def data(self) -> Dataset:
        """The dataset."""
        data: Dataset = self._loaded["data"][1]
        return data

    @property
    def metrics(self) -> Mapping[str, LoadedMetric]:
        """The metrics by column."""
        metrics: Mapping[str, LoadedMetric] = self._loaded["metrics"][1]
        return metrics

    def _discover(self, sources: Mapping[str, str]) -> None:
        """Import plugins, and check that their code is the one in the plan's digests."""
        if self._sources == sources:
            return
        self.catalog = discover(only=sources)
        for entry in self.catalog.entries:
            require_code(entry.plugin, entry.code, sources[entry.source])
        self._sources = dict(sources)
        self._loaded.clear()

    def _once(self, what: str, key: Any, load: Callable[[], Any]) -> None:
        """Load an object of the kind `what`, unless the loaded one has the same key."""
        wanted = digest(key)
        if what in self._loaded and self._loaded[what][0] == wanted:
            return
        self._loaded.pop(what, None)  # release the old one before the new one takes memory
        if what == "method":
            self.warm = False
            if self._host is not None:
                self._host.release()
            elif self._device.type == "cuda":
                torch.cuda.empty_cache()
        self._loaded[what] = (wanted, load())

    @property
    def _runtime(self) -> Runtime:
        return Runtime(
            device=str(self._device),
            threads=self._setup.threads,
            cache=Path(self._setup.cache),
            roots={name: Path(path) for name, path in self._setup.roots.items()},
            offline=self._setup.offline,
            tasks=self.catalog.tasks,
            find=self.catalog.find,
        )

    def _load_method(self, cell: CellSpec) -> tuple[Method, int | None]:
        """Load a method, after its published weights have been fetched: a guest cannot write into their folder."""
        for file in cell.method.weights:
            weights.fetch(file, self._runtime)
        load = Load(
            kind="detector" if cell.kind == "detector" else "restorer",
            name=cell.name,
            source=cell.method.source,
            code=cell.method.code,
            options=cell.options,
            device=str(self._device),
            threads=self._setup.threads,
            cache=self._setup.cache,
            offline=self._setup.offline,
            tasks=self._setup.tasks,
            named=cell.method.named_paths,
        )
        if self._host is not None:
            return self._host, self._host.load(load, self._secret(cell))
        loaded = serving.loaded(load)
        return Here(loaded, self._device), parameters(loaded)

    def _secret(self, cell: CellSpec) -> list[Path]:
        """Return the files and folders that no method may read: the run folder and the data."""
        named = absolute_paths(cell.dataset.options)
        return [Path(self._setup.run_folder), *map(Path, self._setup.roots.values()), *named]

    def _load_data(self, dataset: DatasetSpec) -> Any:
        card = self.catalog.find("dataset", dataset.name)
        request = DataRequest(dataset.task, dataset.seed, self._runtime.roots, self.catalog.find)
        options = validated_options(card, dataset.options)
        data = resolve(card.load)(options, request)
        # Jobs name samples by number: with one file more or fewer, numbers would mean other samples.
        if len(data) != dataset.samples:
            named = ", ".join(map(str, paths({} if options is None else options.model_dump())))
            has, planned = counted(len(data), "sample"), counted(dataset.samples, "was", "were")
            raise RestorebenchError(
                f"dataset {card.name} ({named or 'no path'}): {dataset.task} has {has}, but {planned} planned;"
                " make its files the same everywhere, and start again"
            )
        return data

    def _load_metrics(self, columns: Sequence[ColumnSpec]) -> dict[str, LoadedMetric]:
        loaded = {}
        for spec in columns:
            column = spec.name
            card: MetricInfo = self.catalog.find("metric", spec.metric)
            protocol = card.protocol(spec.protocol)
            if protocol is None:
                raise ContractViolation(f"metric {spec.metric!r} has no protocol {spec.protocol!r}")
            try:
                metric = resolve(card.load)(validated_options(card, {}), self._runtime, protocol)
                ours = self.catalog.entry("metric", spec.metric).code == ""
                loaded[column] = LoadedMetric(card, protocol, metric, ours=ours)
            except Exception as error:
                if isinstance(error, MissingResource) and card.unavailable is not None:
                    # The plan found it: it is missing on this machine, or has been removed since.
                    raise MissingResource(f"metric {column}: {error}") from error
                traceback.print_exc()
                why = failure_of(error, f"metric {column}: while loading: ")
                loaded[column] = LoadedMetric(card, protocol, None, why)
        return loaded
