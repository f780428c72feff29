"""Restore, detect and degrade files and folders: each builds a small suite and runs it like any other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench.commands.delivery import Delivery, Existing
from restorebench.contract.errors import RestorebenchError
from restorebench.contract.tasks import components
from restorebench.engine.environment import version
from restorebench.engine.events import Event, Note
from restorebench.journal import journal as journals
from restorebench.plan.plan import Plan, TaskData
from restorebench.records import FAILED, DetectionRecord
from restorebench.runner import execute, prepare
from restorebench.schedule.stage import Started, Watcher
from restorebench.suite import loading as suites
from restorebench.suite.settings import Request, Settings
from restorebench.tables import outcomes
from restorebench.toolbox.images import SUFFIXES, has_16_bits, has_alpha

if TYPE_CHECKING:
    from restorebench.tables.reporting import Result


@dataclass(frozen=True)
class Outcome:
    """The files written, the failures by sample, and the number of earlier results that were kept."""

    files: tuple[Path, ...]
    failures: Mapping[str, str]
    skipped: int = 0


def run(
    suite: str,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    overrides: str | Sequence[str] = (),
    restorers: str | Sequence[str] | None = None,
    tasks: str | Sequence[str] | None = None,
    limit: int | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
    device: str = "auto",
    workers: int = 1,
    engine: str = "local",
    address: str | None = None,
    gpus_per_worker: float | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
) -> Result:
    """Run a suite by name or file, as `restorebench run` does, and return its tables.

    A single override, restorer, task or plugin may be given without a list.

    Raises:
        RestorebenchError: the suite, its data, the folder or the device cannot be used.
    """
    settings = Settings(
        out=None if out is None else Path(out),
        data=None if data is None else Path(data),
        device=device,
        workers=workers,
        engine=engine,
        address=address,
        gpus_per_worker=gpus_per_worker,
        fresh=fresh,
        retry_failed=retry_failed,
        plugins=tuple(Path(plugin) for plugin in ([plugins] if isinstance(plugins, str | Path) else plugins)),
        overrides=_texts(overrides),
        request=Request(
            tasks=None if tasks is None else _texts(tasks),
            restorers=None if restorers is None else _texts(restorers),
            limit=limit,
        ),
    )
    return execute(prepare(suite, settings), settings)


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text or several as a tuple; one text alone is not split into letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def restore(
    source: str | Path,
    out: str | Path,
    restorer: str,
    *,
    tell: str = "nothing",
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    tile: int | None = None,
    seed: int = 0,
    existing: Existing = Existing.REFUSE,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Outcome:
    """Restore an image or a folder of images into `out`, as PNG under the same stems.

    tell: nothing, task (then `task` names it) or the name of a detector. tile: side in px of the tiles in which
    larger images are restored, blended where they overlap; None restores whole images. existing: what to do with
    files in `out` that have the name of a result.

    Raises:
        RestorebenchError: the images, the names or the folder `out`, which must be outside `source`, cannot be
            used. Images that were finished before the error stay in `out`.
    """
    if tell == "task" and task is None:
        raise RestorebenchError("to tell the restorer the task, name it with --task")
    raw = {
        "suite": "restore",
        "seed": seed,
        "tasks": [task or "noisy"],  # a label only, unless the restorer is told it
        "datasets": [{"name": "unpaired", "options": {"path": str(Path(source).absolute())}}],
        "restorers": [{"name": restorer, "tell": tell, "options": dict(options or {})}],
        "save": "all",
        "tile": tile,
        **({} if tile is None else {"tile_overlap": min(32, tile // 2)}),
    }
    return _delivered(raw, settings, watch, Path(source), Path(out), existing)


def degrade(
    source: str | Path,
    out: str | Path,
    task: str,
    *,
    severity: int = 3,
    preset: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    existing: Existing = Existing.REFUSE,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Outcome:
    """Degrade a clean image or a folder into `out`, as PNG under the same stems, so that they can be scored.

    A JSON file beside each image records how it was made: the degradation's parameters, and under `made_from` the
    source file, task, preset, options, seed and versions.

    Raises:
        RestorebenchError: as in `restore`.
    """
    synthetic: dict[str, Any] = {"clean": str(Path(source).absolute()), "severities": [severity]}
    if preset is not None:
        synthetic["preset"] = preset
    if options:
        synthetic["degradations"] = {task: dict(options)}
    raw = {
        "suite": "degrade",
        "seed": seed,
        "tasks": [task],
        "datasets": [{"name": "synthetic", "options": synthetic}],
        "restorers": ["identity"],
        "save": "all",
    }
    common = {"task": task, "preset": preset, "options": dict(options or {}), "seed": seed}

    def made_from(plan: Plan, stem: str) -> Mapping[str, Any]:
        names = components(task)
        taking_part = [*names, "composite"] if len(names) > 1 else names
        cards = [plan.catalog.find("degradation", name) for name in taking_part]
        versions = {"restorebench": version("restorebench")} | {card.name: card.version for card in cards}
        return {"source": _file_of(Path(source), stem), **common, "versions": versions}

    return _delivered(raw, settings, watch, Path(source), Path(out), existing, _before_label, made_from)


def _before_label(sample: str) -> str:
    """Return the stem of a sample's photograph, without the label, which is the same throughout a command."""
    return sample.rpartition("@")[0]


def _file_of(source: Path, stem: str) -> str:
    """Return the file name of a stem in a folder; the stem itself if the file has an unusual suffix."""
    if not source.is_dir():
        return source.name
    suffixes = (suffix for lower in SUFFIXES for suffix in (lower, lower.upper()))
    return next((stem + suffix for suffix in suffixes if (source / (stem + suffix)).is_file()), stem)


def detect(
    source: str | Path,
    detector: str,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> tuple[DetectionRecord, ...]:
    """Name the degradations in an image, or in each image of a folder."""
    raw = {
        "suite": "detect",
        "tasks": ["noisy"],  # a label only: a detector is told nothing
        "datasets": [{"name": "unpaired", "options": {"path": str(Path(source).absolute())}}],
        "restorers": [],
        "detectors": [{"name": detector, "options": dict(options or {})}],
    }
    with _carried_out(raw, settings, watch) as (result, folder), journals.opened(folder) as journal:
        return tuple(outcomes.detections(result.plan, journal))


@contextmanager
def _carried_out(raw: dict[str, Any], settings: Settings, watch: Watcher) -> Iterator[tuple[Result, Path]]:
    """Run a suite given as data, in a temporary folder."""
    with prepared(raw, settings) as (plan, there, folder):
        yield execute(plan, there, watch), folder


@contextmanager
def prepared(raw: dict[str, Any], settings: Settings) -> Iterator[tuple[Plan, Settings, Path]]:
    """Plan a suite given as data, to be run in a temporary folder."""
    loaded = suites.made({"clean_inputs": False, "reports": [], **raw})
    with tempfile.TemporaryDirectory(prefix="restorebench-") as name:
        folder = Path(name) / "run"
        there = replace(settings, out=folder, one_off=True)
        yield prepare(loaded, there), there, folder


def _delivered(
    raw: dict[str, Any],
    settings: Settings,
    watch: Watcher,
    source: Path,
    out: Path,
    existing: Existing,
    stem: Callable[[str], str] = str,
    made_from: Callable[[Plan, str], Mapping[str, Any]] | None = None,
) -> Outcome:
    """Run a suite given as data, and deliver each image when it is finished, so that no later error loses it."""
    with prepared(raw, settings) as (plan, there, folder):
        for cell in plan.restorer_cells:
            if cell.skipped:
                raise RestorebenchError(f"{cell.label}: {cell.skipped}")
            if cell.card.acts_when_told and cell.tell == "nothing":
                watch(Note(f"{cell.label} returns its input unless it is told a task: give --task or --detector"))
        files = _files(plan, source, stem)
        for loses, note in _LOSSES:
            if found := [path for path in files if loses(path)]:
                more = f" and {len(found) - 1} more" if len(found) > 1 else ""
                watch(Note(f"{found[0]}{more}: {note}"))
        explained = None if made_from is None else partial(made_from, plan)
        delivery = Delivery(plan, folder, source, out, stem=stem, made_from=explained, existing=existing)

        def deliver(event: Event | Started) -> None:
            if not isinstance(event, Started):
                delivery.take(event)
            watch(event)

        try:
            execute(_without(plan, delivery.skipped), there, deliver)
        except RestorebenchError as error:
            if delivery.files:
                raise type(error)(f"{error} ({len(delivery.files)} finished images are in {out})") from error
            raise
        with journals.opened(folder) as journal:
            failures = {r.sample: r.reason for r in outcomes.records(plan, journal) if r.status == FAILED}
        return Outcome(delivery.files, failures, len(delivery.skipped))


_LOSSES: tuple[tuple[Callable[[Path], bool], str], ...] = (
    (has_16_bits, "read at 16 bits; results are PNG files of 8 bits"),
    (has_alpha, "laid over white; results have no transparency"),
)
"""Properties of an input that its result loses, and the note that says so."""


def _files(plan: Plan, source: Path, stem: Callable[[str], str]) -> list[Path]:
    """List the source files of the images of a plan."""
    folder = source if source.is_dir() else source.parent
    samples = (sample for cell in plan.restorer_cells for sample in cell.data.samples)
    found = (folder / _file_of(source, stem(sample.id)) for sample in samples)
    return [path for path in found if path.is_file()]


def _without(plan: Plan, samples: Collection[str]) -> Plan:
    """Leave out the groups of a plan that hold only these samples; the indices of the others stay the same."""

    def narrowed(data: TaskData) -> TaskData:
        groups = [group for group in data.groups if any(data.samples[i].id not in samples for i in group)]
        return replace(data, groups=tuple(groups))

    return replace(
        plan,
        detector_cells=tuple(replace(cell, data=narrowed(cell.data)) for cell in plan.detector_cells),
        restorer_cells=tuple(replace(cell, data=narrowed(cell.data)) for cell in plan.restorer_cells),
    )
