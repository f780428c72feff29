"""The files in a training's output folder: the checkpoint to resume from, the weights, and the log."""

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
"""Options that may change when a run is resumed, to rescue one whose loss or weights were not finite."""


@dataclass(frozen=True)
class Kept:
    """All state that a resumed run depends on. published: returns a module's tensors in the published layout."""

    options: Training
    published: Callable[[nn.Module], dict[str, Any]]
    module: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Averaged | None
    processes: int

    def save(self, iteration: int) -> None:
        """Write the weights, then the checkpoint; a run that stops in between resumes from the older checkpoint.

        Raises:
            RestorebenchError: a tensor is not finite; the earlier files stay.
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
                f"iteration {iteration}: the weights are not finite and were not saved; the same command with a"
                " lower learning_rate, a clip_norm or precision=fp32 goes on from the last checkpoint"
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
        """Load the checkpoint, if there is one, and return its iteration; write missing files of weights again.

        Raises:
            RestorebenchError: it belongs to another configuration, or is not a checkpoint.
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
            if state["scaler"]:  # empty if there was none
                self.scaler.load_state_dict(state["scaler"])
            if self.average is not None:
                self.average.module.load_state_dict(state["average"])
            iteration = int(state["iteration"])
        except RestorebenchError:
            raise
        except Exception as error:  # damaged files make torch raise errors of many types
            raise RunFolderError(
                f"{path}: not a checkpoint of this training ({type(error).__name__});"
                " remove it to start again, or choose another output folder"
            ) from error
        if leads and not all(weights.is_file() for weights in self._weights()):
            self._publish()
        return iteration

    def _compare(self, path: Path, before: Mapping[str, Any], leads: bool, report: Callable[[str], None]) -> None:
        """Raise an error if options have changed, and report changes of those that may change."""
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
        """Return the options that must not change, as JSON: all but length, output, reporting and validation."""
        changeable = {"iterations", "output", "workers", "log_every", "save_every"}
        changeable |= {"validate_every", "validation", "validation_images"}
        options = self.options.model_dump(mode="json", exclude=changeable)
        return json.dumps(options | {"processes": self.processes}, sort_keys=True)


def _finite(held: Any) -> bool:
    """Tell whether all floating-point tensors in nested state are finite."""
    if isinstance(held, Tensor):
        return not held.is_floating_point() or bool(held.isfinite().all())
    if isinstance(held, Mapping):
        return all(_finite(value) for value in held.values())
    return all(_finite(value) for value in held) if isinstance(held, list | tuple) else True


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a one-line RunFolderError that names the path."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise RunFolderError(f"{path}: cannot be written ({why}); make room, or choose another output") from error


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Create the output folder and lock it against other trainings.

    Raises:
        RunFolderError: another training runs in it, or it cannot be created.
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
    # torch may report a killed loader process in any line, this one too.
    with writing(path), replaced(path) as temporary:
        try:
            torch.save(held, temporary)
        except RuntimeError as error:  # torch's error when the disk is full
            if tells_of_a_loader(error):
                raise
            raise OSError(str(error).partition("\n")[0]) from error


class Log:
    """Numbers per iteration: a line of JSON each, and TensorBoard events if TensorBoard is installed."""

    def __init__(self, folder: Path, writes: bool, start: int) -> None:
        self.entries: list[dict[str, float]] = []
        self._writes = writes
        self._path = folder / HISTORY
        self._waiting: list[str] = []
        self._board: Any = None
        if not writes:
            return
        with writing(self._path):
            # drop entries after the checkpoint, as those iterations run again
            kept = logged(self._path, start) if self._path.exists() else []
            atomic_write_text(self._path, "".join(f"{line}\n" for line in kept))
        self.entries = [json.loads(line) for line in kept]
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def add(self, iteration: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of an iteration."""
        entry = {"iteration": iteration, **numbers}
        self.entries.append(entry)
        self._waiting.append(json.dumps(entry))
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, iteration)

    def flush(self) -> None:
        """Write the entries that are not yet in the file."""
        if self._writes and self._waiting:
            with writing(self._path), self._path.open("a") as stream:
                stream.write("".join(f"{line}\n" for line in self._waiting))
            self._waiting.clear()

    def close(self) -> None:
        """Write the remaining entries and close TensorBoard's file."""
        self.flush()
        if self._board is not None:
            self._board.close()


def logged(history: Path, last: int) -> list[str]:
    """Read the lines of a history up to an iteration; truncated lines and lines without an entry are left out."""
    return [line for line in history.read_text(errors="replace").splitlines() if 0 < _iteration(line) <= last]


def _iteration(line: str) -> int:
    """Read the iteration of a logged line; 0 if the line is truncated or not an entry."""
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, TypeError, KeyError):
        return 0
