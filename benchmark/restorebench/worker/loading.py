"""The objects that a worker keeps loaded between groups: the last plugin, dataset and metrics."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from restorebench.contract.cards import MetricInfo, resolve
from restorebench.contract.catalog import Catalog, discover
from restorebench.contract.errors import BrokenPlugin, ContractViolation, MissingResource, RestorebenchError
from restorebench.contract.values import DataRequest, Dataset, Runtime
from restorebench.toolbox.contents import paths
from restorebench.toolbox.counts import counted
from restorebench.toolbox.digests import digest
from restorebench.toolbox.options import validated_options
from restorebench.worker.jobs import CellSpec, ColumnSpec, DatasetSpec, Setup
from restorebench.worker.reasons import failure_of
from restorebench.worker.scoring import LoadedMetric


class Shelf:
    """The loaded objects, each replaced only if a cell needs another one. warm: the plugin has worked before."""

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self.catalog: Catalog
        self.warm = False
        self._setup = setup
        self._device = device
        self._sources: Mapping[str, str] | None = None
        self._loaded: dict[str, tuple[str, Any]] = {}

    def prepare(self, cell: CellSpec) -> None:
        """Import a cell's sources; load its data and its metrics."""
        self._discover(cell.sources)
        self._once("data", asdict(cell.dataset), lambda: self._load_data(cell.dataset))
        columns = [asdict(column) for column in cell.columns]
        self._once("metrics", columns, lambda: self._load_metrics(cell.columns))

    def take_plugin(self, cell: CellSpec) -> None:
        """Load a cell's restorer or detector."""
        key = [cell.kind, cell.name, cell.options]
        self._once("plugin", key, lambda: self._load_plugin(cell))

    @property
    def plugin(self) -> Any:
        """The restorer or detector; conformance to its protocol is checked where it is called."""
        return self._loaded["plugin"][1]

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

    def parameters(self) -> int | None:
        """Count the parameters of all modules of the plugin, shared ones once; None if it has no module."""
        found = {
            id(parameter): parameter.numel()
            for value in [self.plugin, *getattr(self.plugin, "__dict__", {}).values()]
            if isinstance(value, torch.nn.Module)
            for parameter in value.parameters()
        }
        return sum(found.values()) if found else None

    def _discover(self, sources: Mapping[str, str]) -> None:
        """Import plugins, and check that their code is the one in the plan's digests."""
        if self._sources == sources:
            return
        self.catalog = discover(only=sources)
        for entry in self.catalog.entries:
            if entry.code != sources[entry.source]:
                raise BrokenPlugin(
                    f"plugin {entry.plugin} was changed during the run; the same command again repeats the "
                    "cells that use it, and keeps the rest"
                )
        self._sources = dict(sources)
        self._loaded.clear()

    def _once(self, what: str, key: Any, load: Callable[[], Any]) -> None:
        """Load an object of the kind `what`, unless the loaded one has the same key."""
        wanted = digest(key)
        if what in self._loaded and self._loaded[what][0] == wanted:
            return
        self._loaded.pop(what, None)  # release the old one before the new one takes memory
        if what == "plugin":
            self.warm = False
            if self._device.type == "cuda":
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

    def _load_plugin(self, cell: CellSpec) -> Any:
        card = self.catalog.find(cell.kind, cell.name)
        return resolve(card.load)(validated_options(card, cell.options), self._runtime)

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
                loaded[column] = LoadedMetric(card, protocol, metric)
            except Exception as error:
                if isinstance(error, MissingResource) and card.unavailable is not None:
                    # The plan found it: it is missing on this machine, or has been removed since.
                    raise MissingResource(f"metric {column}: {error}") from error
                traceback.print_exc()
                why = failure_of(error, f"metric {column}: while loading: ")
                loaded[column] = LoadedMetric(card, protocol, None, why)
        return loaded
