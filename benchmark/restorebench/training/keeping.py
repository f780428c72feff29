"""What a training run leaves in its folder: state to go on from, weights to use, and numbers per iteration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from restorebench.errors import RestorebenchError
from restorebench.toolbox.files import replaced
from restorebench.training.config import Training
from restorebench.training.optimising import Averaged

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Kept:
    """What decides how a run goes on; published: gives a module's tensors in the published layout."""

    options: Training
    published: Callable[[nn.Module], dict[str, Any]]
    module: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Averaged | None

    def save(self, iteration: int) -> None:
        """Write the state to go on from and the weights to use, each by a rename."""
        state = {
            "iteration": iteration,
            "options": self._identity(),
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
        }
        _write(state, self.options.output / CHECKPOINT)
        _write(self.published(self.module), self.options.output / "weights.pth")
        if self.average is not None:
            _write(self.published(self.average.module), self.options.output / "weights_average.pth")

    def resume(self, device: torch.device) -> int:
        """Load the newest checkpoint, if there is one, and return its iteration.

        Raises:
            RestorebenchError: it is of another configuration.
        """
        path = self.options.output / CHECKPOINT
        if not path.is_file():
            return 0
        state = torch.load(path, map_location=device, weights_only=True)
        if state["options"] != self._identity():
            raise RestorebenchError(f"{path}: trained under another configuration; choose another output folder")
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        return int(state["iteration"])

    def _identity(self) -> str:
        """Say what must be equal for a run to go on: all but its length, place and how often it tells."""
        free = {"iterations", "output", "workers", "log_every", "save_every", "validate_every", "validation"}
        return json.dumps(self.options.model_dump(mode="json", exclude=free), sort_keys=True)


def _write(held: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        torch.save(held, temporary)


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
        folder.mkdir(parents=True, exist_ok=True)
        kept = self._path.read_text().splitlines() if self._path.is_file() else []
        kept = [line for line in kept if 0 < _iteration(line) <= start]
        self._path.write_text("".join(f"{line}\n" for line in kept))  # what came after the checkpoint comes again
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
            with self._path.open("a") as stream:
                stream.write("".join(f"{line}\n" for line in self._waiting))
            self._waiting.clear()

    def close(self) -> None:
        """Write what waits and let go."""
        self.flush()
        if self._board is not None:
            self._board.close()


def _iteration(line: str) -> int:
    """Read the iteration of a logged line; 0 where the line was cut off."""
    try:
        return int(json.loads(line)["iteration"])
    except ValueError:
        return 0
