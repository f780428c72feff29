"""Plan a published suite again where some of its plugins may be missing: the rest is planned without them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card, DetectorInfo, MetricInfo, RestorerInfo, resolve
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import RestorebenchError
from restorebench.contract.values import WeightFile
from restorebench.plan.lookup import validated
from restorebench.plan.plan import Plan
from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.layout import SUITE
from restorebench.publishing.provenance import facts_of
from restorebench.records import row_name
from restorebench.runner import prepare
from restorebench.suite import loading
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.marked_yaml import read
from restorebench.suite.model import NOT_DETECTORS, DetectorPick, RestorerPick
from restorebench.suite.settings import Request, Settings
from restorebench.toolbox import remembered, weights
from restorebench.toolbox.options import validated_options
from restorebench.toolbox.places import cache_folder, offline

NO_DATA = Path("/DIR-of---data")
"""Stands for `${data}` where it is not set, so that what does not need it can be planned."""


@dataclass(frozen=True)
class Replanned:
    """A published suite as it can be run here.

    plan: of the rows that can be run here; None if nothing can. notes: what cannot be run, and why. The rest:
    the names of the rows, detectors and columns that the plan leaves out.
    """

    plan: Plan | None
    notes: tuple[str, ...]
    rows: frozenset[str] = frozenset()
    detectors: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()


def replanned(published: PublishedFolder, settings: Settings, catalog: Catalog) -> Replanned:
    """Plan the suite of a published folder again, as far as its data and plugins are here."""
    about, path = published.manifest, published.path / SUITE
    shortened = tuple(about["tasks"]) if list(about["tasks"]) != about["suite"].get("tasks") else None
    request = Request(tasks=shortened, limit=about["limit"])
    notes: list[str] = []
    data = settings.data or (None if os.environ.get("RESTOREBENCH_DATA") else NO_DATA)
    try:
        with remembered.nothing():
            text = read(path)
            if data is NO_DATA and "${data}" in text:
                notes.append("${data} is not set: give --data DIR or set RESTOREBENCH_DATA")
            loaded = loading.loads(text, str(path), path.parent.resolve(), data=data)
            usable = _Usable(published, loaded, catalog)
            notes += usable.notes
            if usable.suite.restorers or usable.suite.detectors:
                plan = prepare(replace(loaded, suite=usable.suite), replace(settings, request=request))
                return usable.with_plan(plan, notes)
            notes.append("no image was looked at: none of its plugins can be used here")
    except RestorebenchError as error:
        notes.append(f"no image was looked at: {_named(str(error))}")
    return Replanned(None, tuple(notes))


class _Usable:
    """The part of a suite that the plugins here can run. suite: that part; notes: what is left out, and why."""

    def __init__(self, published: PublishedFolder, loaded: LoadedSuite, catalog: Catalog) -> None:
        self._manifest = published.manifest
        self._catalog = catalog
        self._there = loaded.suite
        self._columns = [column.name for column in published.board.columns]
        self.notes: list[str] = []
        metrics = [name for name in self._there.metrics if not self._lacks("metric", name, "")]
        detectors = [pick for pick in self._there.detectors if not self._detector_lacks(pick)]
        self._known = {name for pick in detectors for name in (pick.label or pick.name, pick.name)}
        restorers = [pick for pick in self._there.restorers if not self._restorer_lacks(pick)]
        self.suite = self._there.model_copy(
            update={
                "metrics": metrics,
                "protocols": self._protocols(),
                "detectors": detectors,
                "restorers": restorers,
                "reports": [],
            }
        )

    def with_plan(self, plan: Plan, notes: Sequence[str]) -> Replanned:
        """Say what the plan of this part leaves out."""
        rows = {row_name(pick.label or pick.name, pick.tell) for pick in self._there.restorers}
        detectors = {pick.label or pick.name for pick in self._there.detectors}
        lacking = [f"rows were not restored again: {_named(text)}" for text in plan.missing]
        return Replanned(
            plan,
            (*notes, *lacking),
            frozenset(rows - {row_name(cell.label, cell.tell) for cell in plan.restorer_cells}),
            frozenset(detectors - {cell.label for cell in plan.detector_cells}),
            frozenset(set(self._columns) - {column.name for column in plan.columns}),
        )

    def _restorer_lacks(self, pick: RestorerPick) -> bool:
        row = row_name(pick.label or pick.name, pick.tell)
        told_by_other = pick.tell not in (*NOT_DETECTORS, *self._known)
        listed = {name for each in self._there.detectors for name in (each.label, each.name)}
        if told_by_other and pick.tell in listed:
            self.notes.append(f"row {row} was not run again: its detector {pick.tell} cannot be used here")
            return True
        if told_by_other and self._lacks("detector", pick.tell, row):
            return True
        return self._lacks("restorer", pick.name, row, pick.options)

    def _detector_lacks(self, pick: DetectorPick) -> bool:
        return self._lacks("detector", pick.name, "", pick.options)

    def _lacks(self, kind: str, name: str, row: str, options: Mapping[str, Any] | None = None) -> bool:
        """Tell, with a note, whether a plugin is missing here, cannot be used, or is not the one of the row."""
        what = f"row {row} was not run again" if row else f"{kind} {name} was not run again"
        try:
            entry = self._catalog.entry(kind, name)
            why = f"it {entry.unavailable}" if entry.unavailable else self._other_code(entry, row)
            if options is not None and not why:
                validated(entry.card, options)
                why = _absent_weights(entry.card, options)
        except ValidationError:
            why = f"its options are not those that {kind} {name} has here"
        except RestorebenchError as error:
            why = f"{str(error).partition(';')[0]}; install its plugin, or give it with --plugin"
        if why:
            self.notes.append(f"{what}: {why}")
        return bool(why)

    def _other_code(self, entry: Entry, row: str) -> str:
        """Say that the code of a plugin of others differs from what was published; else an empty string."""
        about = facts_of(self._manifest, row) if row else self._manifest
        plugin = Path(entry.plugin).name if entry.source.startswith("file:") else entry.plugin
        said = (about.get("code") or {}).get(plugin)
        return f"{plugin} has other code here" if said and said != entry.code else ""

    def _protocols(self) -> list[str]:
        known = {
            protocol.name
            for entry in self._catalog.of("metric")
            if isinstance(entry.card, MetricInfo)
            for protocol in entry.card.protocols
        }
        return [name for name in self._there.protocols if name in known]


def _named(text: str) -> str:
    """Name the folder of the data as a suite does, where it is not set."""
    return text.replace(str(NO_DATA), "${data}")


def _absent_weights(card: Card, options: Mapping[str, Any]) -> str:
    """Say which published weights of a card are neither in the cache nor downloadable; else an empty string."""
    if not isinstance(card, RestorerInfo | DetectorInfo) or card.resources is None:
        return ""
    with blaming(card, "naming its weights"):
        files: Sequence[WeightFile] = resolve(card.resources)(validated_options(card, options))
    for file in files:
        if not weights.present(file, cache_folder()) and (offline() or not weights.repository(file)):
            return f"its weights {file.name} are not in {cache_folder()}; get {file.url}"
    return ""
