"""The loop that both stages share: optimise, average, log, validate, save, and go on exactly where it stopped."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from restorebench import RestorebenchError
from restorebench.toolbox.files import replaced
from restorebench_daclip.train.config import Average, Training

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Stage(Protocol):
    """One of the two stages."""

    module: nn.Module
    """What is trained; its parameters that need no gradient are left out."""

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches from number `first` on."""

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and numbers to log; module is `self.module`, wrapped for many devices."""

    def after_step(self) -> None:
        """Put parameters back where they may be."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Score the module on other data and write images into a folder."""

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return what a file of weights holds, in the published layout."""


@dataclass(frozen=True)
class World:
    """The processes that train together, as torchrun starts them."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Tell whether this process writes files."""
        return self.rank == 0


def join_world() -> World:
    """Join the processes that torchrun started, or stand alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    if size > 1:
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    return World(int(os.environ.get("RANK", "0")), size, device)


def train(stage: Stage, options: Training, report: Callable[[str], None] = print) -> list[dict[str, float]]:
    """Train to the end, going on from the newest checkpoint in the output folder; return what was logged.

    Raises:
        RestorebenchError: the loss is not a number, or the folder holds a run of another configuration.
    """
    world = join_world()
    device = world.device
    module = stage.module.to(device)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = optimiser_of(module, options)
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")
    average = _Averaged(module, options.average) if options.average else None
    start = _resumed(options, module, optimiser, scaler, average, device)
    wrapped: nn.Module = module
    if world.size > 1:
        wrapped = DistributedDataParallel(module, device_ids=[device.index] if device.type == "cuda" else None)
    batches = stage.batches(start * options.accumulate, world.rank, world.size)
    log = _Log(options.output, world.leads, start)
    for iteration in range(start + 1, options.iterations + 1):
        began = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = rate(options, iteration)
        numbers = _step(stage, wrapped, batches, options, device, scaler)
        if not all(math.isfinite(value) for value in numbers.values()):
            raise RestorebenchError(f"iteration {iteration}: the loss is no number; lower the rate, or use fp32")
        if options.clip_norm is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(trained, options.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
        stage.after_step()
        if average is not None:
            average.update(module, iteration)
        numbers |= {"rate": rate(options, iteration), "seconds": time.perf_counter() - began}
        log.add(iteration, numbers)
        last = iteration == options.iterations
        if iteration % options.log_every == 0 or last:
            report(f"{iteration}/{options.iterations} " + " ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
        if options.validation is not None and (iteration % options.validate_every == 0 or last):
            shown = average.module if average is not None else module
            scores = stage.validate(shown, options.output / "validation" / str(iteration), device)
            log.add(iteration, {f"validation/{name}": value for name, value in scores.items()})
            report(f"{iteration} validation " + " ".join(f"{k} {v:.4g}" for k, v in scores.items()))
        if world.leads and (iteration % options.save_every == 0 or last):
            log.flush()
            _save(stage, options, module, optimiser, scaler, average, iteration)
    log.close()
    if world.size > 1:
        torch.distributed.destroy_process_group()
    return log.entries


def _step(
    stage: Stage,
    module: nn.Module,
    batches: Iterator[dict[str, Any]],
    options: Training,
    device: torch.device,
    scaler: torch.amp.GradScaler,
) -> dict[str, float]:
    """Accumulate the gradients of one step; return the mean of what its parts say."""
    dtype = _DTYPES.get(options.precision)
    totals: dict[str, float] = {}
    for part in range(options.accumulate):
        batch = next(batches)
        last = part == options.accumulate - 1
        alone = module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()
        with alone, torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, numbers = stage.loss(module, batch, device)
            scaler.scale(loss / options.accumulate).backward()
        for name, value in {"loss": float(loss.detach()), **numbers}.items():
            totals[name] = totals.get(name, 0.0) + value / options.accumulate
    return totals


# ---------------------------------------------------------------- optimiser, rate, average


class Lion(torch.optim.Optimizer):
    """Steps of the sign of a blend of momentum and gradient (Chen et al., 2023, algorithm 2)."""

    def __init__(self, groups: Any, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is needed
        """Move every parameter by the rate, in the direction of the sign."""
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                direction = (first * momentum + (1 - first) * parameter.grad).sign()
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * direction)
                momentum.mul_(second).add_(parameter.grad, alpha=1 - second)


def optimiser_of(module: nn.Module, options: Training) -> torch.optim.Optimizer:
    """Make the optimiser; vectors and scalars (biases, gains) are not decayed."""
    matrices, others = [], []
    for parameter in module.parameters():
        if parameter.requires_grad:
            (matrices if parameter.ndim > 1 else others).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    shared: dict[str, Any] = {"lr": options.learning_rate, "betas": options.betas}
    if options.optimiser == "lion":
        return Lion(groups, **shared)
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, eps=options.epsilon, **shared)


def rate(options: Training, iteration: int) -> float:
    """Return the learning rate of an iteration, counted from 1."""
    if iteration <= options.warm_up:
        return options.learning_rate * iteration / options.warm_up
    if options.schedule == "multistep":
        return float(options.learning_rate * 0.5 ** sum(iteration > milestone for milestone in options.milestones))
    if options.schedule == "constant":
        return options.learning_rate
    share = (iteration - options.warm_up - 1) / max(options.iterations - options.warm_up, 1)
    return options.least_rate + (options.learning_rate - options.least_rate) * (1 + math.cos(math.pi * share)) / 2


class _Averaged:
    """A copy of a module whose weights follow slowly, the more slowly the longer it has run."""

    def __init__(self, module: nn.Module, options: Average) -> None:
        import copy

        self.options = options
        self.module = copy.deepcopy(module).requires_grad_(False)

    def update(self, module: nn.Module, iteration: int) -> None:
        if iteration % self.options.every:
            return
        past = iteration - self.options.start
        decay = 0.0 if past <= 0 else min(self.options.decay, 1 - (1 + past) ** (-2 / 3))
        with torch.no_grad():
            for ours, theirs in zip(self.module.parameters(), module.parameters(), strict=True):
                ours.lerp_(theirs, 1 - decay)


# ---------------------------------------------------------------- what is kept


def _save(
    stage: Stage,
    options: Training,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    average: _Averaged | None,
    iteration: int,
) -> None:
    """Write the state to go on from and the weights to use, each by a rename."""
    state = {
        "iteration": iteration,
        "options": _identity(options),
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict(),
        "average": None if average is None else average.module.state_dict(),
    }
    _written(state, options.output / CHECKPOINT)
    _written(stage.published(module), options.output / "weights.pth")
    if average is not None:
        _written(stage.published(average.module), options.output / "weights_average.pth")


def _written(held: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        torch.save(held, temporary)


def _identity(options: Training) -> str:
    """What must be equal for a run to go on: all but its length, place and how often it tells."""
    free = {"iterations", "output", "workers", "log_every", "save_every", "validate_every", "validation"}
    return json.dumps(options.model_dump(mode="json", exclude=free), sort_keys=True)


def _resumed(
    options: Training,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    average: _Averaged | None,
    device: torch.device,
) -> int:
    """Load the newest checkpoint, if there is one, and return its iteration."""
    path = options.output / CHECKPOINT
    if not path.is_file():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    if state["options"] != _identity(options):
        raise RestorebenchError(f"{path}: trained under another configuration; choose another output folder")
    module.load_state_dict(state["module"])
    optimiser.load_state_dict(state["optimiser"])
    scaler.load_state_dict(state["scaler"])
    if average is not None:
        average.module.load_state_dict(state["average"])
    return int(state["iteration"])


class _Log:
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
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)  # type: ignore[no-untyped-call]  # of torch

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
