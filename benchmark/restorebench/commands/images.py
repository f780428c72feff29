"""Restore, detect and degrade images, in files or arrays: each builds a small suite and runs it like any other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from restorebench.commands import arrays
from restorebench.commands.delivery import Delivery, Existing
from restorebench.commands.one_off import prepared, require_able
from restorebench.contract.errors import RestorebenchError
from restorebench.contract.tasks import components
from restorebench.engine.environment import version
from restorebench.engine.events import Event, Note
from restorebench.journal import journal as journals
from restorebench.plan.plan import Plan, TaskData
from restorebench.records import FAILED, DetectionRecord
from restorebench.runner import execute
from restorebench.schedule.stage import Started, Watcher
from restorebench.suite.settings import Settings
from restorebench.tables import outcomes
from restorebench.toolbox.arrays import Pixels, is_path
from restorebench.toolbox.counts import counted
from restorebench.toolbox.images import SUFFIXES, has_16_bits, has_alpha


@dataclass(frozen=True)
class Outcome:
    """The files written, the failures by sample, and the number of earlier results that were kept."""

    files: tuple[Path, ...]
    failures: Mapping[str, str]
    skipped: int = 0


def restore(
    source: Any,  # Any: paths and the kinds of arrays have no common type, and the result is of the kind given
    out: str | Path | None = None,
    restorer: str = "",
    *,
    tell: str = "nothing",
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    tile: int | None = None,
    seed: int = 0,
    existing: Existing = Existing.REFUSE,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Any:
    """Restore images: an array or several give arrays of the same kind, a file or folder gives PNG files in `out`.

    >>> noisy = np.random.default_rng(0).integers(90, 166, (64, 64, 3), dtype=np.uint8)  # grey, with noise
    >>> restored = restore(noisy, restorer="classical", tell="task", task="noisy")
    >>> restored.shape, restored.dtype, bool(restored.std() < noisy.std() / 2)
    ((64, 64, 3), dtype('uint8'), True)
    >>> outcome = restore("noisy", "denoised", "classical", tell="task", task="noisy")  # a folder
    >>> [path.name for path in outcome.files]
    ['astronaut.png', 'chelsea.png']

    source: numpy arrays, (H, W, 3) RGB or (H, W) grey, uint8, uint16 or float32 in [0, 1]: one, or a list of one
    dtype; or a torch tensor (N, 3, H, W), float32 in [0, 1]. The result has the same dtype, in the same order, on
    the same device; results of grey arrays are RGB. Item 0 is restored like a file `0.png` of the same pixels.
    Or the path of an image or of a folder; the result is an `Outcome`, and files keep their stems.
    out: with a path, the folder for the results, or x.png for one image; with arrays, left out.
    tell: nothing, task (then `task` names it) or the name of a detector. tile: side in px of the tiles in which
    larger images are restored, blended where they overlap; None restores whole images. existing: what to do with
    files in `out` that have the name of a result.

    Each call starts a worker process, which takes seconds: give many arrays in one list, or
    `settings=restorebench.Settings(workers=0)` to work in this process.

    Raises:
        RestorebenchError: the images, the names or the folder `out`, which must be outside `source`, cannot be
            used, or an array could not be restored. Files that were finished before the error stay in `out`.
    """
    _require_fitting(source, out, restorer, existing, untold=tell == "task" and task is None)
    raw: dict[str, Any] = {"suite": "restore", "seed": seed, "save": "all", "tile": tile}
    raw["tasks"] = [task or "noisy"]  # a label only, unless the restorer is told it
    raw["restorers"] = [{"name": restorer, "tell": tell, "options": dict(options or {})}]
    if tile is not None:
        raw["tile_overlap"] = min(32, tile // 2)
    if out is None:
        return arrays.restored(raw, settings, watch, Pixels(source))
    return _delivered({**raw, **_unpaired(source)}, settings, watch, Path(source), Path(out), existing)


def _require_fitting(source: object, out: object, restorer: str, existing: Existing, untold: bool) -> None:
    """Refuse files without a folder for results, arrays with one, no restorer, and no task where it is told."""
    if is_path(source) and out is None:
        raise RestorebenchError(
            "restore: give `out`, the folder for the results of files; only arrays are returned"
        )
    if not is_path(source) and (out is not None or existing is not Existing.REFUSE):
        raise RestorebenchError(
            "restore: arrays are returned, not written, so leave out `out` and `existing`; name the restorer as"
            " in restore(image, restorer='airnet-compact')"
        )
    if not restorer:
        raise RestorebenchError("restore: name the restorer, as in restore(image, restorer='airnet-compact')")
    if untold:
        raise RestorebenchError(
            "to tell the restorer the task, name it: `task` in Python, --task on the command line"
        )


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

    >>> outcome = degrade("clean", "rainy", "rainy", severity=3)
    >>> [path.name for path in outcome.files]
    ['astronaut.png', 'chelsea.png']

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
    source: Any,  # Any: as in `restore`
    detector: str,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> tuple[DetectionRecord, ...]:
    """Name the degradations in images; returns one record each, in order, also if there is one image.

    >>> for found in detect("noisy", "statistics"):
    ...     print(found.sample, found.labels, round(found.probabilities["noisy"], 2))
    astronaut ('noisy',) 1.0
    chelsea ('noisy',) 1.0

    source: the path of an image or of a folder, or arrays or a tensor as for `restore`. A record has the `labels`
    found and the `probabilities` by task; if the detector failed on the image, `status` is "failed" and `reason`
    says why. `sample` is the stem of the file, or the number of the item, from "0".

    Raises:
        RestorebenchError: the images, the name or the options cannot be used.
    """
    raw = {
        "suite": "detect",
        "tasks": ["noisy"],  # a label only: a detector is told nothing
        "restorers": [],
        "detectors": [{"name": detector, "options": dict(options or {})}],
    }
    if is_path(source):
        return _detections({**raw, **_unpaired(source)}, settings, watch)
    with arrays.kept(Pixels(source)) as data:
        return tuple(sorted(_detections({**raw, **data}, settings, watch), key=lambda record: int(record.sample)))


def _detections(raw: dict[str, Any], settings: Settings, watch: Watcher) -> tuple[DetectionRecord, ...]:
    with prepared(raw, settings) as (plan, there, folder):
        result = execute(plan, there, watch)
        with journals.opened(folder) as journal:
            return tuple(outcomes.detections(result.plan, journal))


def _unpaired(source: str | Path) -> dict[str, Any]:
    """Return the data of a suite for an image or a folder."""
    return {"datasets": [{"name": "unpaired", "options": {"path": str(Path(source).absolute())}}]}


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
        require_able(plan, watch)
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
                finished = counted(len(delivery.files), "finished image is", "finished images are")
                raise type(error)(f"{error} ({finished} in {out})") from error
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
