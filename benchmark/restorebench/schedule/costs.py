"""The costs of restorers and detectors on this machine, kept from run to run to plan the next one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from restorebench.engine.environment import gpus, processor
from restorebench.journal.layout import COSTS
from restorebench.toolbox.digests import digest
from restorebench.toolbox.files import atomic_write_text
from restorebench.toolbox.places import cache_folder
from restorebench.worker.jobs import CellSpec

FORMAT = 1


@dataclass(frozen=True)
class Cost:
    """The cost of a plugin on one task.

    seconds_per_megapixel: of one worker, to read, restore, score and save. load_seconds: to load the plugin.
    peak_mib: the most memory of any group, None if the system does not report it. pixels: of all images of the
    largest group. others: how many other processes per core worked or waited meanwhile.
    """

    seconds_per_megapixel: float
    load_seconds: float
    peak_mib: float | None
    pixels: int
    others: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that cannot be measured ones, because the file they come from may be damaged.

        Raises:
            ValueError: a value is not a number, is negative or is not finite.
        """
        for name, value in vars(self).items():
            number = isinstance(value, int | float) and 0 <= value < math.inf
            if not number and (name, value) != ("peak_mib", None):
                raise ValueError(f"{name} is {value!r}")

    def seconds(self, pixels: int) -> float:
        """Return the seconds for a number of pixels, once the plugin is loaded."""
        return self.seconds_per_megapixel * pixels / 1e6


class Costs:
    """The costs on one kind of device, by plugin and task."""

    def __init__(self, known: Mapping[str, Mapping[str, Cost]]) -> None:
        self._known = {key: dict(tasks) for key, tasks in known.items()}

    def of(self, cell: CellSpec) -> Cost | None:
        """Return the cost of a cell's plugin on its task; if that is unknown, the mean over its known tasks."""
        tasks = self._known.get(_key(cell), {})
        if (exact := tasks.get(_task(cell))) is not None or not tasks:
            return exact
        per_megapixel = math.fsum(cost.seconds_per_megapixel for cost in tasks.values()) / len(tasks)
        most = max(tasks.values(), key=lambda cost: cost.peak_mib or 0)
        return replace(most, seconds_per_megapixel=per_megapixel)

    def measured(self, cell: CellSpec) -> bool:
        """Return whether a cell's plugin was measured on exactly this task."""
        return _task(cell) in self._known.get(_key(cell), {})

    def add(self, cell: CellSpec, cost: Cost) -> None:
        """Store the cost of a cell, in place of an earlier one."""
        self._known.setdefault(_key(cell), {})[_task(cell)] = cost

    def raw(self) -> dict[str, dict[str, Any]]:
        """Return all costs as JSON-ready data."""
        return {key: {task: asdict(cost) for task, cost in tasks.items()} for key, tasks in self._known.items()}


def others(own: int) -> float:
    """Return how many processes per core work or wait now besides `own`, on average over the last minute."""
    return max(os.getloadavg()[0] - own, 0.0) / len(os.sched_getaffinity(0))


def _key(cell: CellSpec) -> str:
    """Return a key of all that decides the cost of a pixel. No versions: an estimate may be a little old."""
    what = (cell.kind, cell.name, dict(cell.options), cell.tile, cell.tile_overlap, cell.batch_size, cell.resize)
    return (
        f"{cell.name}:{digest(*what, [[column.name, column.metric, column.protocol] for column in cell.columns])}"
    )


def _task(cell: CellSpec) -> str:
    """Return the task and whether the restorer was told it: told, a classical method has an algorithm for each."""
    return f"{cell.dataset.task}{'' if cell.tell == 'nothing' else ' told'}"


def device_name(device: str, threads: int) -> str:
    """Return the name of the device that a run will use, as far as it is known before a worker starts.

    device: as requested by the user. With several GPUs, the result is the name of the first one.
    """
    found = gpus() if device != "cpu" else []
    return found[0].split(",")[0] if found else f"{processor()} x{threads}"


def load(device: str, threads: int) -> Costs:
    """Read the known costs on the device that a run will use; none if the file is missing or damaged."""
    return Costs(_read(cache_folder() / COSTS).get(device_name(device, threads), {}))


def save(device: str, threads: int, costs: Costs) -> str:
    """Write the costs on the device that a run used, and keep those that other runs have written meanwhile.

    If the cache folder cannot be written, the next estimate is worse, but no run fails. The error is then returned
    as a text instead of raised; else the result is empty.
    """
    path, name = cache_folder() / COSTS, device_name(device, threads)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            devices = {each: Costs(known).raw() for each, known in _read(path).items()}
            devices[name] = devices.get(name, {}) | costs.raw()
            atomic_write_text(path, json.dumps({"format": FORMAT, "devices": devices}, indent=1, sort_keys=True))
    except OSError as error:
        return f"{path}: {error.strerror}; the costs of this run are not kept for estimates"
    return ""


def _read(path: Path) -> dict[str, dict[str, dict[str, Cost]]]:
    try:
        held = json.loads(path.read_text())
        if held["format"] != FORMAT:
            return {}
        return {
            device: {key: {task: Cost(**raw) for task, raw in tasks.items()} for key, tasks in known.items()}
            for device, known in held["devices"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # the costs will be measured again
