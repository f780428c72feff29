"""What restorers and detectors cost on this machine, remembered from run to run to plan the next one."""

from __future__ import annotations

import json
import math
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
    """What a plugin took on one task.

    seconds_per_megapixel: of a worker, to read, restore, score and save. load_seconds: to load it. peak_mib: the
    most that a group held, None where the system does not tell. pixels: of the largest group, all its images.
    """

    seconds_per_megapixel: float
    load_seconds: float
    peak_mib: float | None
    pixels: int

    def __post_init__(self) -> None:
        """Refuse what was not measured: the file they are read from may be damaged.

        Raises:
            ValueError: a value is no number, negative or not finite.
        """
        for name, value in vars(self).items():
            number = isinstance(value, int | float) and 0 <= value < math.inf
            if not number and (name, value) != ("peak_mib", None):
                raise ValueError(f"{name} is {value!r}")

    def seconds(self, pixels: int) -> float:
        """Say how long so many pixels take, in s, once the plugin is loaded."""
        return self.seconds_per_megapixel * pixels / 1e6


class Costs:
    """The costs on one kind of device, by plugin and task."""

    def __init__(self, known: Mapping[str, Mapping[str, Cost]]) -> None:
        self._known = {key: dict(tasks) for key, tasks in known.items()}

    def of(self, cell: CellSpec) -> Cost | None:
        """Return what a cell's plugin took on its task, else the mean over the tasks that it was seen on."""
        tasks = self._known.get(_key(cell), {})
        if (exact := tasks.get(_task(cell))) is not None or not tasks:
            return exact
        per_megapixel = math.fsum(cost.seconds_per_megapixel for cost in tasks.values()) / len(tasks)
        most = max(tasks.values(), key=lambda cost: cost.peak_mib or 0)
        return replace(most, seconds_per_megapixel=per_megapixel)

    def measured(self, cell: CellSpec) -> bool:
        """Tell whether a cell's plugin was seen on this very task."""
        return _task(cell) in self._known.get(_key(cell), {})

    def add(self, cell: CellSpec, cost: Cost) -> None:
        """Note what a cell took, in place of what was known."""
        self._known.setdefault(_key(cell), {})[_task(cell)] = cost

    def raw(self) -> dict[str, dict[str, Any]]:
        """Return all of it as JSON-ready data."""
        return {key: {task: asdict(cost) for task, cost in tasks.items()} for key, tasks in self._known.items()}


def _key(cell: CellSpec) -> str:
    """Name what decides the cost of a pixel. Versions do not: an estimate may be a little old."""
    what = (cell.kind, cell.name, dict(cell.options), cell.tile, cell.tile_overlap, cell.batch_size, cell.resize)
    return (
        f"{cell.name}:{digest(*what, [[column.name, column.metric, column.protocol] for column in cell.columns])}"
    )


def _task(cell: CellSpec) -> str:
    """Name the task, and whether its restorer was told it: a classical method has one algorithm for each."""
    return f"{cell.dataset.task}{'' if cell.tell == 'nothing' else ' told'}"


def device_name(device: str, threads: int) -> str:
    """Name what a run will compute on, as far as it can be known before a worker starts.

    device: as asked for. With several GPUs it is the first one's name.
    """
    found = gpus() if device != "cpu" else []
    return found[0].split(",")[0] if found else f"{processor()} x{threads}"


def load(device: str, threads: int) -> Costs:
    """Read what is known of the device that a run will use; nothing where no file is there or it is damaged."""
    return Costs(_read(cache_folder() / COSTS).get(device_name(device, threads), {}))


def save(device: str, threads: int, costs: Costs) -> str:
    """Write what is known of the device that a run used, beside what other runs have written meanwhile.

    A cache folder that cannot be written costs the next estimate, and no run: that is said, and nothing raised.
    """
    path, name = cache_folder() / COSTS, device_name(device, threads)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            devices = {each: Costs(known).raw() for each, known in _read(path).items()}
            devices[name] = devices.get(name, {}) | costs.raw()
            atomic_write_text(path, json.dumps({"format": FORMAT, "devices": devices}, indent=1, sort_keys=True))
    except OSError as error:
        return f"{path}: {error.strerror}; what this run took is not remembered for estimates"
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
        return {}  # they are measured anew
