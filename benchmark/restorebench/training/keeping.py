"""What a training run leaves in its folder: state to go on from, weights to use, and numbers per iteration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.toolbox.files import atomic_write_text, replaced
from restorebench.training.config import Training
from restorebench.training.data import tells_of_a_loader
from restorebench.training.optimising import Averaged

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"
_TUNABLE = ("clip_norm", "learning_rate", "precision")
"""What may change between parts of a run, for one that came to no numbers."""


@dataclass(frozen=True)
class Kept:
    """What decides how a run goes on; published: gives a module's tensors in the published layout."""

    options: Training
    published: Callable[[nn.Module], dict[str, Any]]
    module: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Averaged | None
    processes: int

    def save(self, iteration: int) -> None:
        """Write the weights to use, then the state to go on from: what is cut off between them comes again.

        Raises:
            RestorebenchError: a tensor is not finite; what was written before stays.
            RunFolderError: the folder cannot be written.
        """
        state = {
            "iteration": iteration,
            "options": self._identity(),
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
        }
        if not _finite(state):
            raise RestorebenchError(
                f"iteration {iteration}: weights are no numbers and were not saved; the same command with a lower"
                " learning_rate, clip_norm or precision=fp32 goes on from the last checkpoint"
            )
        self._publish()
        _write(state, self.options.output / CHECKPOINT)

    def _weights(self) -> dict[Path, nn.Module]:
        found = {self.options.output / "weights.pth": self.module}
        if self.average is not None:
            found[self.options.output / "weights_average.pth"] = self.average.module
        return found

    def _publish(self) -> None:
        for path, module in self._weights().items():
            _write(self.published(module), path)

    def resume(self, leads: bool, report: Callable[[str], None]) -> int:
        """Load the newest checkpoint, if there is one, and return its iteration; missing weights come again.

        Raises:
            RestorebenchError: it is of another configuration, or no checkpoint.
        """
        path = self.options.output / CHECKPOINT
        if not path.exists():
            return 0
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            before = json.loads(state["options"])
            self._compare(path, before, leads, report)
            self.module.load_state_dict(state["module"])
            self.optimiser.load_state_dict(state["optimiser"])
            if state["scaler"]:  # empty where there was none
                self.scaler.load_state_dict(state["scaler"])
            if self.average is not None:
                self.average.module.load_state_dict(state["average"])
            iteration = int(state["iteration"])
        except RestorebenchError:
            raise
        except Exception as error:  # what damaged files raise in torch has no common type
            raise RunFolderError(
                f"{path}: no checkpoint of this training ({type(error).__name__});"
                " remove it to start anew, or choose another output folder"
            ) from error
        if leads and not all(weights.is_file() for weights in self._weights()):
            self._publish()
        return iteration

    def _compare(self, path: Path, before: Mapping[str, Any], leads: bool, report: Callable[[str], None]) -> None:
        """Refuse to go on under other options, and tell of those that may change."""
        now = json.loads(self._identity())
        changed = [
            f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name) and name not in _TUNABLE
        ]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise RestorebenchError(
                f"{path}: trained under another configuration ({'; '.join(changed[:3])}{more});"
                " choose another output folder"
            )
        tuned = [f"{name} {before[name]} -> {now[name]}" for name in _TUNABLE if before[name] != now[name]]
        if tuned and leads:
            report(f"going on with {', '.join(tuned)}")

    def _identity(self) -> str:
        """Say what decides how a run goes on: all but its length, place and how often it tells."""
        free = {"iterations", "output", "workers", "log_every", "save_every"}
        free |= {"validate_every", "validation", "validation_images"}
        options = self.options.model_dump(mode="json", exclude=free)
        return json.dumps(options | {"processes": self.processes}, sort_keys=True)


def _finite(held: Any) -> bool:
    """Tell whether all floating tensors in nested state are finite."""
    if isinstance(held, Tensor):
        return not held.is_floating_point() or bool(held.isfinite().all())
    if isinstance(held, Mapping):
        return all(_finite(value) for value in held.values())
    return all(_finite(value) for value in held) if isinstance(held, list | tuple) else True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line that a place cannot be written."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise RunFolderError(f"{path}: cannot be written ({why}); make room, or choose another output") from error


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Make the output folder and keep other trainings out of it.

    Raises:
        RunFolderError: another one is in it, or it cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RunFolderError(f"{folder}: another training runs in it; choose another output") from error
    try:
        yield
    finally:
        lock.release()


def _write(held: Any, path: Path) -> None:
    # A loader's process that is killed is told of in the middle of any line, this one too.
    with writing(path), replaced(path) as temporary:
        try:
            torch.save(held, temporary)
        except RuntimeError as error:  # so torch says that the disk is full
            if tells_of_a_loader(error):
                raise
            raise OSError(str(error).partition("\n")[0]) from error


class Log:
    """Numbers per iteration: a line of JSON each, and TensorBoard's events where it is installed."""

    def __init__(self, folder: Path, writes: bool, start: int) -> None:
        self.entries: list[dict[str, float]] = []
        self._writes = writes
        self._path = folder / HISTORY
        self._waiting: list[str] = []
        self._board: Any = None
        if not writes:
            return
        with writing(self._path):
            # what came after the checkpoint comes again
            kept = logged(self._path, start) if self._path.exists() else []
            atomic_write_text(self._path, "".join(f"{line}\n" for line in kept))
        self.entries = [json.loads(line) for line in kept]
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def add(self, iteration: int, numbers: Mapping[str, float]) -> None:
        """Note numbers of an iteration."""
        entry = {"iteration": iteration, **numbers}
        self.entries.append(entry)
        self._waiting.append(json.dumps(entry))
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, iteration)

    def flush(self) -> None:
        """Write what waits."""
        if self._writes and self._waiting:
            with writing(self._path), self._path.open("a") as stream:
                stream.write("".join(f"{line}\n" for line in self._waiting))
            self._waiting.clear()

    def close(self) -> None:
        """Write what waits and let go."""
        self.flush()
        if self._board is not None:
            self._board.close()


def logged(history: Path, last: int) -> list[str]:
    """Read the lines of a history up to an iteration; what was cut off or is no entry is left out."""
    return [line for line in history.read_text(errors="replace").splitlines() if 0 < _iteration(line) <= last]


def _iteration(line: str) -> int:
    """Read the iteration of a logged line; 0 where the line was cut off or is no entry."""
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, TypeError, KeyError):
        return 0
