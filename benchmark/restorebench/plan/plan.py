"""The plan of a run: its cells with their groups and digests, and which of them are skipped and why.

A cell is one restorer (with its options) on one task of one dataset, with one value of `tell`. A group is a fixed
batch of samples of one size, cut from the whole index, so that --limit never changes a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from restorebench.contract.cards import MetricInfo, RestorerInfo
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.tasks import components
from restorebench.contract.values import SampleInfo
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import Suite


@dataclass(frozen=True)
class ScoreColumn:
    """One metric under one protocol. digest: covers the metric, its version and all fields of the protocol."""

    name: str
    metric: str
    protocol: str
    digest: str
    card: MetricInfo | None
    unavailable: str = ""


@dataclass(frozen=True)
class TaskData:
    """One task of one dataset. wanted: how many samples to run, from the first. groups: indices of the samples."""

    label: str
    name: str
    options: Mapping[str, Any]
    task: str
    samples: tuple[SampleInfo, ...]
    wanted: int
    groups: tuple[tuple[int, ...], ...]
    digest: str


@dataclass(frozen=True)
class DetectorCell:
    """One detector on one task of one dataset.

    label: its name in the tables. resize: factor by which its images are resized. files, named: as in
    RestorerCell.
    """

    data: TaskData
    entry: Entry
    options: Mapping[str, Any]
    label: str
    digest: str
    resize: float = 1.0
    files: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name that no other cell of the same data has."""
        return self.label


@dataclass(frozen=True)
class RestorerCell:
    """One restorer on one task of one dataset, with one value of `tell`.

    files: maps the name of each weights file and each path in the options to `sha256:...` of its content
    (`folder:...` over the names and contents of a folder's files); to "" for weights whose card gives no sha256.
    named: the files and folders that the suite names in its options, which it may read.
    """

    data: TaskData
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
    files: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A name that no other cell of the same data has."""
        return f"{self.label} told {self.tell}"

    @property
    def card(self) -> RestorerInfo:
        assert isinstance(self.entry.card, RestorerInfo)  # by construction: the entry's kind is restorer
        return self.entry.card


@dataclass(frozen=True)
class Plan:
    """All cells of a run, in the order of the tables.

    tasks: the requested tasks, including those without any cell. limit: images to take of each, None for all.
    missing: files that options of restorers and detectors name but that do not exist; only their cells fail.
    left_out: those of the notes that are about optional detectors.
    unrounded: whether saved images are also kept as float32, even if no column needs that.
    """

    loaded: LoadedSuite
    catalog: Catalog
    roots: Mapping[str, Path]
    tasks: tuple[str, ...]
    columns: tuple[ScoreColumn, ...]
    detector_cells: tuple[DetectorCell, ...]
    restorer_cells: tuple[RestorerCell, ...]
    notes: tuple[str, ...]
    limit: int | None = None
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unrounded: bool = False

    @property
    def suite(self) -> Suite:
        """The validated suite."""
        return self.loaded.suite

    def host_sources(self, cell: RestorerCell | DetectorCell) -> dict[str, str]:
        """Map the source of each plugin that a worker must import for one cell to that plugin's code.

        They provide its data, with degradations, and its metrics; only a guest imports its restorer or detector.
        """
        wanted = {self.catalog.entry("metric", c.metric).source for c in self.columns if c.card}
        wanted.add(self.catalog.entry("dataset", cell.data.name).source)
        # Ours may be looked up by any dataset; others only if the task names them.
        parts = components(cell.data.task)
        wanted |= {
            entry.source for entry in self.catalog.of("degradation") if not entry.code or entry.card.name in parts
        }
        return dict(sorted((entry.source, entry.code) for entry in self.catalog.entries if entry.source in wanted))

    def sources(self, cell: RestorerCell | DetectorCell) -> dict[str, str]:
        """Map the source of each plugin that takes part in one cell to that plugin's code."""
        return dict(sorted({**self.host_sources(cell), cell.entry.source: cell.entry.code}.items()))

    @cached_property
    def imported(self) -> frozenset[str]:
        """The sources of plugins whose code the driver may run: data, degradations, metrics and reports."""
        cells: tuple[RestorerCell | DetectorCell, ...] = (*self.restorer_cells, *self.detector_cells)
        reporters = {self.catalog.entry("reporter", pick.name).source for pick in self.suite.reports}
        return frozenset(reporters.union(*(self.host_sources(cell) for cell in cells)))

    @property
    def code(self) -> dict[str, str]:
        """Map each third-party plugin that may take part in the run to its code."""
        cells: tuple[RestorerCell | DetectorCell, ...] = (*self.restorer_cells, *self.detector_cells)
        wanted = {source for cell in cells for source in self.sources(cell)}
        return {e.plugin: e.code for e in self.catalog.entries if e.code and e.source in wanted}


def score_digests(plan: Plan) -> dict[str, str]:
    """Return the digest of every column, by the column's name."""
    return {column.name: column.digest for column in plan.columns}
