"""Find the temperature that makes a detector's probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from restorebench.commands.images import prepared
from restorebench.contract.catalog import discover
from restorebench.contract.errors import MissingResource, RestorebenchError, UnknownName, nearest
from restorebench.contract.tasks import CLEAN
from restorebench.journal import journal as journals
from restorebench.records import OK, DetectionRecord
from restorebench.runner import execute
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.tables import detector_scores

Array = np.ndarray[Any, np.dtype[np.float64]]
Heard = Mapping[str, Sequence[DetectionRecord]]
"""What was said of the images of each task; every record with probabilities."""

LARGEST_FACTOR = 1e12
"""Factors are sought from one over it up to it."""

_LEAST = 1e-45  # the least number of single precision, in which networks round to zero
_LEAST_REST = 2.0**-53  # what a difference to one can tell in double precision
_ROUNDING = 1e-4  # by which probabilities in half precision may miss one


@dataclass(frozen=True)
class Quality:
    """Mean negative log-likelihood of the true task, Brier score and calibration error, over all images."""

    nll: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class Calibration:
    """What a fit found.

    images: those it is over, without the failures (sample to reason). top1: share of them whose most probable
    task is the true one, which no temperature changes. factor: on the temperature. temperature: the detector's own
    before, None where it has no such option. left_out: why a folder was not used, or "".
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
    """Fit a detector's temperature on the images below `folder`/TASK, or `folder`/TASK/LQ where there is one.

    Calibrate on other images than those the detector is scored on. Those of `clean` are left out, as no
    probability is theirs.

    Raises:
        RestorebenchError: whatever is wrong with the folder, the names or the options, or no temperature is best.
    """
    folders = _places(Path(folder), settings)
    with prepared(_suite(folders, detector, options or {}), settings) as (plan, there, run_folder):
        execute(plan, there, watch)
        with journals.opened(run_folder) as journal:
            said: dict[str, list[DetectionRecord]] = {task: [] for task in folders}
            for cell in plan.detector_cells:
                known = journal.detections(cell.digest)
                said[cell.data.task] = [known[sample.id] for sample in cell.data.samples[: cell.data.wanted]]
        temperature = plan.detector_cells[0].options.get("temperature")
    failures = {
        f"{task}/{record.sample}": record.reason
        for task, records in said.items()
        for record in records
        if record.status != OK
    }
    heard = {task: [record for record in records if record.status == OK] for task, records in said.items()}
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
    """Make a suite of one detector on a folder per task."""
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


def _places(folder: Path, settings: Settings) -> dict[str, Path]:
    """Map each task to its folder of degraded images, in the order of the tasks."""
    if not folder.is_dir():
        raise MissingResource(
            f"{folder}: no such folder; give one that holds a folder of degraded images per task"
        )
    inside = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")} - {CLEAN}
    known = [task.name for task in discover(settings.plugins).tasks]
    if strange := sorted(inside - set(known)):
        named = ", ".join(strange)
        raise UnknownName(f"{folder}: no task is called {named}{nearest(strange[0], known)}; rename or move it")
    if len(inside) < 2:
        raise RestorebenchError(
            f"{folder}: holds images of {' and '.join(inside) or 'no task'}; calibrating takes a folder each"
            " for two tasks at least, named after them"
        )
    places = {}
    for task in (name for name in known if name in inside):
        pairs = folder / task / "LQ"
        if not pairs.is_dir() and (folder / task / "GT").is_dir():
            raise MissingResource(f"{pairs}: no such folder beside GT; put the degraded images there")
        places[task] = pairs if pairs.is_dir() else folder / task
    return places


def _require_probabilities(detector: str, heard: Heard, failures: Mapping[str, str]) -> None:
    """Refuse what leaves nothing to fit."""
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
            f"detector {detector!r} gives probabilities that add up to more than one, which no temperature mends"
        )


def fitted_factor(heard: Heard) -> float:
    """Return the factor on the temperature that makes the true tasks most likely (Guo et al., ICML 2017).

    Dividing logits by another temperature raises the probabilities to a power and scales them to one again, so
    the logits themselves need not be known. The loss is convex in one over the factor.

    Raises:
        RestorebenchError: there is none, as of a detector that is never wrong.
    """
    from scipy.optimize import brentq

    logarithms, truths, _ = _table(heard)
    true = logarithms[np.arange(len(truths)), truths]
    # The loss falls for ever with the temperature, or rises from the highest on: by its convexity, just then.
    if (true >= logarithms.max(axis=1)).all():
        raise RestorebenchError(
            "no temperature is best: no image has a more probable task than the true one, so surer is always "
            "better; give more images, or harder ones"
        )
    if true.mean() <= logarithms.mean():
        raise RestorebenchError(
            "no temperature is best: the true tasks are no more probable than others, so it knows nothing of "
            "these images; see that the folders are named after what they show"
        )

    def slope(power: float) -> float:
        """Return the loss's derivative by the power of probabilities, one over the factor, given as logarithm."""
        raised = np.exp(_log_softmax(logarithms * np.exp(power)))
        return float((raised * logarithms).sum(axis=1).mean() - true.mean())

    # Rising throughout, as the loss is convex in the power.
    bound = float(np.log(LARGEST_FACTOR))
    if slope(-bound) >= 0 or slope(bound) <= 0:
        raise RestorebenchError(
            f"no temperature is best between 1/{LARGEST_FACTOR:g} and {LARGEST_FACTOR:g} times the present one: "
            "true and other tasks are equally probable but for the last digits"
        )
    return float(np.exp(-brentq(slope, -bound, bound, xtol=1e-12)))


def quality(heard: Heard) -> Quality:
    """Score what was said."""
    logarithms, truths, _ = _table(heard)
    briers = {task: detector_scores.brier(task, records) or 0.0 for task, records in heard.items()}
    pairs = [pair for task, records in heard.items() for pair in detector_scores.confidences(task, records)]
    return Quality(
        nll=_loss(logarithms, truths),
        brier=sum(briers[task] * len(records) for task, records in heard.items()) / len(truths),
        calibration_error=detector_scores.calibration_error(pairs) or 0.0,
    )


def rescaled(heard: Heard, factor: float) -> dict[str, list[DetectionRecord]]:
    """Return what would have been said at `factor` times the temperature; the labels stay as they are."""
    logarithms, _, names = _table(heard)
    rows = iter(np.exp(_log_softmax(logarithms / factor)).tolist())
    return {
        task: [replace(r, probabilities=dict(zip(names, next(rows), strict=False))) for r in records]
        for task, records in heard.items()
    }


def _table(heard: Heard) -> tuple[Array, np.ndarray[Any, np.dtype[np.intp]], list[str]]:
    """Return logarithms of probabilities (N, C), the true column of each row (N,) and the names of columns.

    A last column without a name holds what the others lack to one, such as the probability of `clean`, unless they
    lack it nowhere.
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
