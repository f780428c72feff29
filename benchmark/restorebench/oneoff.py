"""restore, detect, degrade and score on files and folders: each is a suite made on the spot, run as any other."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restorebench import journal as journals
from restorebench import schedule
from restorebench import suite as suites
from restorebench.errors import MissingResource, RestorebenchError, RunFolderError
from restorebench.origin import reopen
from restorebench.plan import Request
from restorebench.records import FAILED, OK, DetectionRecord, Record
from restorebench.runner import Result, Watcher, execute, prepare
from restorebench.settings import Settings
from restorebench.suite import Suite
from restorebench.toolbox.files import atomic_write_text


@dataclass(frozen=True)
class Outcome:
    """Files written, and what went wrong by sample."""

    files: tuple[Path, ...]
    failures: Mapping[str, str]


def run(
    suite: str,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    restorers: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    plugins: Sequence[str | Path] = (),
    device: str = "auto",
    workers: int = 1,
    fresh: bool = False,
    retry_failed: bool = False,
) -> Result:
    """Run a suite by name or file, as `restorebench run` does, and return its tables.

    Raises:
        RestorebenchError: whatever is wrong with the suite, its data, the folder or the device.
    """
    settings = Settings(
        out=None if out is None else Path(out),
        data=None if data is None else Path(data),
        device=device,
        workers=workers,
        fresh=fresh,
        retry_failed=retry_failed,
        plugins=tuple(Path(plugin) for plugin in plugins),
        overrides=tuple(overrides),
        request=Request(
            tasks=None if tasks is None else tuple(tasks),
            restorers=None if restorers is None else tuple(restorers),
            limit=limit,
        ),
    )
    return execute(prepare(suite, settings), settings)


def restore(
    source: str | Path,
    out: str | Path,
    restorer: str,
    *,
    tell: str = "nothing",
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Outcome:
    """Restore an image or a folder of images into `out`, as PNG under the same stems.

    tell: nothing, task (then `task` says which) or the name of a detector.
    """
    if tell == "task" and task is None:
        raise RestorebenchError("telling the task needs its name: give --task")
    raw = {
        "suite": "restore",
        "seed": seed,
        "tasks": [task or "noisy"],  # a label only, unless the restorer is told it
        "datasets": [{"name": "unpaired", "options": {"path": str(Path(source).absolute())}}],
        "restorers": [{"name": restorer, "tell": tell, "options": dict(options or {})}],
        "save": "all",
    }
    with _carried_out(raw, settings, watch) as (result, folder):
        return _copy_outputs(result, folder, Path(out))


def degrade(
    source: str | Path,
    out: str | Path,
    task: str,
    *,
    severity: int = 3,
    preset: str | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Outcome:
    """Degrade a clean image or a folder into `out`, with the parameters of each beside it as JSON."""
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
    with _carried_out(raw, settings, watch) as (result, folder):
        outcome = _copy_outputs(result, folder, Path(out), suffix=f".{task}")
        for record, path in zip(_restored(result, folder), outcome.files, strict=True):
            atomic_write_text(path.with_suffix(".json"), json.dumps(record.parameters, indent=2) + "\n")
        return outcome


def detect(
    source: str | Path,
    detector: str,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> tuple[DetectionRecord, ...]:
    """Say which degradations an image, or each image of a folder, shows."""
    raw = {
        "suite": "detect",
        "tasks": ["noisy"],  # a label only: a detector is told nothing
        "datasets": [{"name": "unpaired", "options": {"path": str(Path(source).absolute())}}],
        "restorers": [],
        "detectors": [{"name": detector, "options": dict(options or {})}],
    }
    with _carried_out(raw, settings, watch) as (result, folder), journals.opened(folder) as journal:
        return tuple(schedule.detections(result.plan, journal))


def score(
    restored: str | Path,
    clean: str | Path,
    *,
    metrics: Sequence[str] = ("psnr", "ssim"),
    protocols: Sequence[str] = ("rgb",),
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> list[dict[str, Any]]:
    """Score a folder of restored images, made by anything, against their ground truth, matched by stem.

    Returns one row per image, `{"sample": ..., "psnr@rgb": ...}`.
    """
    for folder in (restored, clean):
        if not Path(folder).is_dir():
            raise MissingResource(f"{folder} is not a folder")
    pair = {"degraded": str(Path(restored).absolute()), "clean": str(Path(clean).absolute())}
    raw = {
        "suite": "score",
        "tasks": ["noisy"],  # a label only
        "datasets": [{"name": "paired-folder", "options": pair}],
        "restorers": ["identity"],
        "metrics": list(metrics),
        "protocols": list(protocols),
    }
    with _carried_out(raw, settings, watch) as (result, folder):
        for column in result.plan.columns:
            if column.unavailable:
                raise RestorebenchError(f"{column.name} is not available: {column.unavailable}")
        with journals.opened(folder) as journal:
            records = list(schedule.records(result.plan, journal))
    for record in records:
        if record.status == FAILED:
            raise RestorebenchError(f"{record.sample}: {record.reason}")
    return [{"sample": record.sample, **record.scores} for record in records]


def write_scores(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of `score` as CSV, six decimals, with a closing line of means."""
    text = io.StringIO()
    columns = list(rows[0])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row["sample"], *(_number(row[name]) for name in columns[1:])])
    atomic_write_text(path, text.getvalue())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


@contextmanager
def _carried_out(raw: dict[str, Any], settings: Settings, watch: Watcher) -> Iterator[tuple[Result, Path]]:
    """Run a suite made on the spot in a folder that is gone afterwards."""
    complete = {"clean_inputs": False, "reports": [], **raw}
    loaded = suites.LoadedSuite(Suite.model_validate(complete), "command line", Path.cwd())
    with tempfile.TemporaryDirectory(prefix="restorebench-") as name:
        there = replace(settings, out=Path(name) / "run")
        yield execute(prepare(loaded, there), there, watch), Path(name) / "run"


def _restored(result: Result, folder: Path) -> list[Record]:
    with journals.opened(folder) as journal:
        return [record for record in schedule.records(result.plan, journal) if record.status == OK]


def _copy_outputs(result: Result, folder: Path, out: Path, suffix: str = "") -> Outcome:
    """Move restored images to where the user wants them, named after their sources."""
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file; give -o a folder")
    with journals.opened(folder) as journal:
        records = list(schedule.records(result.plan, journal))
    files = []
    try:
        for record in records:
            if record.status == OK:
                target = out / f"{record.sample}{suffix}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(folder / record.output, target)
                files.append(target)
    except OSError as error:
        raise RunFolderError(f"{error.filename or out}: {error.strerror}; give -o another folder") from error
    return Outcome(tuple(files), {r.sample: r.reason for r in records if r.status == FAILED})


def rescore(
    folder: str | Path,
    *,
    metrics: Sequence[str] = (),
    protocols: Sequence[str] = (),
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Result:
    """Score a run's saved images under more metrics and protocols; nothing is restored again.

    Raises:
        RunFolderError: the folder holds no run, one that saved no images, or one whose data changed since.
    """
    origin = reopen(Path(folder))
    old = origin.loaded.suite
    if old.save != "all":
        raise RunFolderError(f"{folder} has no saved images to score; run its suite with --save all")
    wanted = old.model_copy(
        update={
            "metrics": list(dict.fromkeys([*old.metrics, *metrics])),
            "protocols": list(dict.fromkeys([*old.protocols, *protocols])),
        }
    )
    again = replace(
        origin.settings,
        device=settings.device,
        workers=settings.workers,
        plugins=tuple(dict.fromkeys([*origin.settings.plugins, *(path.resolve() for path in settings.plugins)])),
        scoring_only=True,
    )
    plan = prepare(replace(origin.loaded, suite=wanted), again)
    origin.require_same(plan)
    return execute(plan, again, watch)
