"""Find the temperature at which a detector's probabilities match how often it is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from restorebench.commands.one_off import prepared
from restorebench.contract.errors import MissingResource, RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN
from restorebench.journal import journal as journals
from restorebench.plan.discovery import discovered
from restorebench.records import OK, DetectionRecord
from restorebench.runner import execute
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.tables import detector_scores

Array = np.ndarray[Any, np.dtype[np.float64]]
Heard = Mapping[str, Sequence[DetectionRecord]]
"""The detections on the images of each task; every record has probabilities."""

LARGEST_FACTOR = 1e12
"""The search for a factor goes from 1 / LARGEST_FACTOR to LARGEST_FACTOR."""

_LEAST = 1e-45  # smallest number of single precision, in which networks round to zero
_LEAST_REST = 2.0**-53  # smallest difference from one in double precision
_ROUNDING = 1e-4  # probabilities in half precision may miss a sum of one by this much


@dataclass(frozen=True)
class Quality:
    """Mean negative log-likelihood of the true task, Brier score and calibration error, over all images."""

    nll: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class Calibration:
    """The result of a fit.

    images: the number used, without the failures (sample to reason). top1: share of them whose most probable task
    is the true one, which no temperature changes. factor: multiplies the temperature. temperature: the detector's
    own before the fit, None if it has no such option. left_out: why a folder was not used, or "".
    """

    images: int
    top1: float
    before: Quality
    after: Quality
    factor: float
    temperature: float | None
    failures: Mapping[str, str]
    left_out: str = ""


def calibrate(
    folder: str | Path,
    detector: str,
    *,
    options: Mapping[str, Any] | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Calibration:
    """Fit a detector's temperature on the images in `folder`/TASK/LQ, or in `folder`/TASK if there is no LQ.

    >>> found = calibrate("degraded", "statistics")
    >>> print(f"{found.images} images, {found.top1:.0%} right, temperature {found.temperature * found.factor:.1f}")
    18 images, 56% right, temperature 2.7

    Use other images than those on which the detector is scored. Images of `clean` are left out, because no
    probability belongs to them.

    Raises:
        RestorebenchError: the folder, the names or the options are wrong, or no temperature is best.
    """
    folders = _task_folders(Path(folder), settings)
    with prepared(_suite(folders, detector, options or {}), settings) as (plan, there, run_folder):
        execute(plan, there, watch)
        with journals.opened(run_folder) as journal:
            detections: dict[str, list[DetectionRecord]] = {task: [] for task in folders}
            for cell in plan.detector_cells:
                known = journal.detections(cell.digest)
                detections[cell.data.task] = [known[sample.id] for sample in cell.data.samples[: cell.data.wanted]]
        temperature = plan.detector_cells[0].options.get("temperature")
    failures = {
        f"{task}/{record.sample}": record.reason
        for task, records in detections.items()
        for record in records
        if record.status != OK
    }
    heard = {task: [record for record in records if record.status == OK] for task, records in detections.items()}
    _require_probabilities(detector, heard, failures)
    factor = fitted_factor(heard)
    pairs = [pair for task, records in heard.items() for pair in detector_scores.confidences(task, records)]
    return Calibration(
        images=len(pairs),
        top1=sum(right for _, right in pairs) / len(pairs),
        before=quality(heard),
        after=quality(rescaled(heard, factor)),
        factor=factor,
        temperature=float(temperature) if isinstance(temperature, int | float) else None,
        failures=failures,
        left_out=f"{Path(folder) / CLEAN}: shows no task" if (Path(folder) / CLEAN).is_dir() else "",
    )


def _suite(folders: Mapping[str, Path], detector: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a suite of one detector, with one dataset per task."""
    return {
        "suite": "calibrate",
        "tasks": list(folders),
        "datasets": [
            {"name": "unpaired", "label": task, "tasks": [task], "options": {"path": str(folder.absolute())}}
            for task, folder in folders.items()
        ],
        "restorers": [],
        "detectors": [{"name": detector, "options": dict(options)}],
    }


def _task_folders(folder: Path, settings: Settings) -> dict[str, Path]:
    """Map each task to its folder of degraded images, in the order of the tasks."""
    if not folder.is_dir():
        raise MissingResource(f"{folder}: no such folder; give one with a folder of degraded images per task")
    inside = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")} - {CLEAN}
    known = [task.name for task in discovered(settings.plugins).tasks]
    if unknown := sorted(inside - set(known)):
        named = ", ".join(unknown)
        raise UnknownName(f"{folder}: no task is called {named}{nearest(unknown[0], known)}; rename or move it")
    if len(inside) < 2:
        raise RestorebenchError(
            f"{folder}: holds images of {' and '.join(inside) or 'no task'}; to calibrate, give a folder"
            " for each of at least two tasks, named after the task"
        )
    folders = {}
    for task in (name for name in known if name in inside):
        pairs = folder / task / "LQ"
        if not pairs.is_dir() and (folder / task / "GT").is_dir():
            raise MissingResource(f"{pairs}: no such folder beside GT; put the degraded images there")
        folders[task] = pairs if pairs.is_dir() else folder / task
    return folders


def _require_probabilities(detector: str, heard: Heard, failures: Mapping[str, str]) -> None:
    """Refuse detections to which no temperature can be fitted."""
    records = [record for held in heard.values() for record in held]
    for task, held in heard.items():
        if not held:
            first = next((why for name, why in failures.items() if name.startswith(f"{task}/")), "none was judged")
            raise RestorebenchError(f"{detector} judged no image of {task}: {first}")
    if not all(record.probabilities for record in records):
        raise RestorebenchError(f"detector {detector!r} gives no probabilities, so there is nothing to calibrate")
    named = {name for record in records for name in record.probabilities}
    if unnamed := [task for task in heard if task not in named]:
        raise RestorebenchError(
            f"detector {detector!r} gives no probability to {', '.join(unnamed)}; leave these folders out"
        )
    if any(sum(record.probabilities.values()) > 1 + _ROUNDING for record in records):
        raise RestorebenchError(
            f"detector {detector!r} gives probabilities that add up to more than one; no temperature corrects that"
        )


def fitted_factor(heard: Heard) -> float:
    """Return the factor on the temperature that makes the true tasks most likely (Guo et al., ICML 2017).

    Dividing logits by another temperature raises the probabilities to a power and normalises their sum to one
    again, so the logits themselves are not needed. The loss is convex in one over the factor.

    Raises:
        RestorebenchError: there is no such factor, for example because the detector is never wrong.
    """
    from scipy.optimize import brentq

    logarithms, truths, _ = _table(heard)
    true = logarithms[np.arange(len(truths)), truths]
    # The loss is convex, so it has no minimum in just these two cases: it falls for ever as the temperature falls,
    # or as it rises.
    if (true >= logarithms.max(axis=1)).all():
        raise RestorebenchError(
            "no temperature is best: no other task is ever more probable than the true one, so surer is always "
            "better; give more images, or harder ones"
        )
    if true.mean() <= logarithms.mean():
        raise RestorebenchError(
            "no temperature is best: the true tasks are no more probable than others, so the detector knows "
            "nothing about these images; check that each folder is named after the task it shows"
        )

    def slope(power: float) -> float:
        """Return the derivative of the loss by the power, one over the factor; `power` is its logarithm."""
        raised = np.exp(_log_softmax(logarithms * np.exp(power)))
        return float((raised * logarithms).sum(axis=1).mean() - true.mean())

    # The slope rises throughout, because the loss is convex in the power.
    bound = float(np.log(LARGEST_FACTOR))
    if slope(-bound) >= 0 or slope(bound) <= 0:
        raise RestorebenchError(
            f"no temperature is best between 1/{LARGEST_FACTOR:g} and {LARGEST_FACTOR:g} times the present one: "
            "true and other tasks have the same probabilities except for the last digits"
        )
    return float(np.exp(-brentq(slope, -bound, bound, xtol=1e-12)))


def quality(heard: Heard) -> Quality:
    """Score probabilities."""
    logarithms, truths, _ = _table(heard)
    briers = {task: detector_scores.brier(task, records) or 0.0 for task, records in heard.items()}
    pairs = [pair for task, records in heard.items() for pair in detector_scores.confidences(task, records)]
    return Quality(
        nll=_loss(logarithms, truths),
        brier=sum(briers[task] * len(records) for task, records in heard.items()) / len(truths),
        calibration_error=detector_scores.calibration_error(pairs) or 0.0,
    )


def rescaled(heard: Heard, factor: float) -> dict[str, list[DetectionRecord]]:
    """Return the detections with the probabilities at `factor` times the temperature; labels do not change."""
    logarithms, _, names = _table(heard)
    rows = iter(np.exp(_log_softmax(logarithms / factor)).tolist())
    return {
        task: [replace(r, probabilities=dict(zip(names, next(rows), strict=False))) for r in records]
        for task, records in heard.items()
    }


def _table(heard: Heard) -> tuple[Array, np.ndarray[Any, np.dtype[np.intp]], list[str]]:
    """Return logarithms of probabilities (N, C), the true column of each row (N,) and the names of columns.

    A last column without a name holds one minus the sum of the others, such as the probability of `clean`, unless
    every sum is one.
    """
    records = [record for held in heard.values() for record in held]
    names = sorted({name for record in records for name in record.probabilities})
    given = np.array([[record.probabilities.get(name, 0.0) for name in names] for record in records])
    truths = np.array([names.index(task) for task, held in heard.items() for _ in held])
    rest = 1 - given.sum(axis=1, keepdims=True)
    logarithms = np.log(given.clip(_LEAST))
    if rest.max() > _ROUNDING:
        logarithms = np.hstack([logarithms, np.log(rest.clip(_LEAST_REST))])
    return logarithms, truths, names


def _loss(logits: Array, truths: np.ndarray[Any, np.dtype[np.intp]]) -> float:
    return -float(_log_softmax(logits)[np.arange(len(truths)), truths].mean())


def _log_softmax(logits: Array) -> Array:
    below = logits - logits.max(axis=1, keepdims=True)
    result: Array = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
    return result
