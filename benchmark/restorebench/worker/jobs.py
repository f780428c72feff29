"""The requests of the supervisor to a worker, as plain data that is sent as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from restorebench.contract.cards import Tiling
from restorebench.contract.tasks import Task
from restorebench.contract.values import WeightFile
from restorebench.guest.messages import Told


@dataclass(frozen=True)
class DatasetSpec:
    """The data of a cell: a dataset with its options, one task of it, and how many samples were planned."""

    name: str
    label: str
    options: Mapping[str, Any]
    task: str
    seed: int
    samples: int


@dataclass(frozen=True)
class ColumnSpec:
    """A column to score: its name, a metric and a protocol."""

    name: str
    metric: str
    protocol: str


@dataclass(frozen=True)
class MethodSpec:
    """The method of a cell: what a worker must know of its card, as it does not import the plugin.

    source, code: as in `contract.catalog.Entry`. tasks: those that a detector may name. weights: the published
    files that it needs. named_paths: files and folders that the suite names in its options. imported: whether the
    host runs code of the same plugin. The other facts are those of `RestorerInfo`.
    """

    source: str
    code: str
    tasks: tuple[str, ...] = ()
    weights: tuple[WeightFile, ...] = ()
    named_paths: tuple[str, ...] = ()
    imported: bool = False
    multiple_of: int = 1
    tiling: Tiling = Tiling.ALLOWED
    yardstick: bool = False
    named: bool = False


@dataclass(frozen=True)
class CellSpec:
    """All that a worker needs to know about one cell.

    sources: plugins of its data and metrics, each with the code that it must have, as `Entry.code`. kind:
    `restorer`, `detector`, or `scores` if only metrics are needed. columns: those to score. save: folder for
    restored images below the run folder, or "". triples: how many degraded/clean/restored triples to keep, in
    triples_folder below the run folder. batch_size: the suite's; groups may be smaller. resize: factor by which
    images are resized for a detector.
    """

    digest: str
    kind: Literal["restorer", "detector", "scores"]
    name: str
    label: str
    options: Mapping[str, Any]
    sources: Mapping[str, str]
    dataset: DatasetSpec
    method: MethodSpec
    columns: tuple[ColumnSpec, ...] = ()
    tell: str = "nothing"
    tile: int | None = None
    tile_overlap: int = 0
    save: str = ""
    save_float: bool = False
    triples: int = 0
    triples_folder: str = ""
    batch_size: int = 1
    resize: float = 1.0


Mode = Literal["restore", "detect", "score"]


@dataclass(frozen=True)
class Job:
    """One group of one cell. mode: restore, detect, or score images that were restored and saved before.

    told: per image; None if the restorer works blind. columns: names of the columns to score, in place of the
    cell's.
    """

    cell: CellSpec
    samples: tuple[int, ...]
    ids: tuple[str, ...]
    mode: Mode
    repetition: int = 0
    told: tuple[Told | None, ...] = ()
    columns: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The key that no other job of a stage has: its cell, its images and what is done to them."""
        return self.mode, self.cell.digest, self.repetition, self.samples


@dataclass(frozen=True)
class Setup:
    """The settings that a worker gets once, when it starts.

    inputs and peak_mib are for engines that choose a machine for it: the files and folders that it may read, and
    the largest amount of memory that a group has taken before, None if unknown. tasks: all that plugins declare.
    environment: variables of the driver that a worker gets only after it has forked the server of its guests.
    repeat: whether a method restores its first batch twice, to see whether it gives the same. pipelined: whether a
    worker works on several groups at once.
    """

    run_folder: str
    threads: int
    device: str
    roots: Mapping[str, str]
    cache: str
    offline: bool
    limits: Mapping[str, float | None] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    peak_mib: float | None = None
    tasks: tuple[Task, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    repeat: bool = False
    pipelined: bool = False
