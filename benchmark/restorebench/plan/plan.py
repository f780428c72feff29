"""What a plan is: every cell that will run, its groups, its digest, and what is skipped and why.

A cell is one restorer (with its options) on one task of one dataset, told one thing. A group is a fixed
batch of same-size samples, cut from the unlimited index, so that --limit never regroups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restorebench.contract.cards import MetricInfo, RestorerInfo
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.values import SampleInfo
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import Suite


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
class TaskData:
    """One task of one dataset: its samples, those wanted now, and the groups they run in."""

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

    label: what tables call it. resize: factor by which it sees the images resized. files: what its weights and
    options name, as in RestorerCell.
    """

    data: TaskData
    entry: Entry
    options: Mapping[str, Any]
    label: str
    digest: str
    resize: float = 1.0
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tells it from the other cells of its data."""
        return self.label


@dataclass(frozen=True)
class RestorerCell:
    """One restorer on one task of one dataset, told one thing.

    files: each file of weights by name and each path in the options, to `sha256:...` of what it holds
    (`folder:...` over the names and contents of a folder's files); empty for weights whose card does not say.
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

    @property
    def name(self) -> str:
        """What tells it from the other cells of its data."""
        return f"{self.label} told {self.tell}"

    @property
    def card(self) -> RestorerInfo:
        assert isinstance(self.entry.card, RestorerInfo)  # by construction: the entry's kind is restorer
        return self.entry.card


@dataclass(frozen=True)
class Plan:
    """Everything that will run, in the order of every table.

    tasks: those asked for, whether or not anything can be run of them. limit: images taken of each, None for all.
    missing: files that options of restorers and detectors name and are not there, which costs their cells alone.
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

    @property
    def suite(self) -> Suite:
        """The validated suite."""
        return self.loaded.suite

    def sources(self, cell: RestorerCell | DetectorCell) -> dict[str, str]:
        """Map the plugins a worker must import for one cell, and no others, to which code they are."""
        metrics = {self.catalog.entry("metric", c.metric).source for c in self.columns if c.card}
        dataset = self.catalog.entry("dataset", cell.data.name).source
        degradations = self.catalog.sources("degradation")
        wanted = {cell.entry.source, dataset} | metrics | degradations
        return dict(sorted((entry.source, entry.code) for entry in self.catalog.entries if entry.source in wanted))

    @property
    def code(self) -> dict[str, str]:
        """Map the plugins of others that may take part to which code they are."""
        cells: tuple[RestorerCell | DetectorCell, ...] = (*self.restorer_cells, *self.detector_cells)
        wanted = {source for cell in cells for source in self.sources(cell)}
        return {e.plugin: e.code for e in self.catalog.entries if e.code and e.source in wanted}


def score_digests(plan: Plan) -> dict[str, str]:
    """Return the digest of every column by its name."""
    return {column.name: column.digest for column in plan.columns}
