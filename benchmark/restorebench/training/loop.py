"""The loop that all stages share: optimise, average, log, validate, save, and resume exactly where it stopped."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.counts import counted
from restorebench.toolbox.networks import DTYPES
from restorebench.training.config import Training
from restorebench.training.data import watched
from restorebench.training.keeping import Kept, Log, owned, writing
from restorebench.training.optimising import Averaged, base_rates, optimiser_of, rate


class Stage(Protocol):
    """One stage of a plugin's training: a module, its data, and its loss."""

    module: nn.Module
    """The module to train; its parameters that need no gradient stay as they are."""

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches from number `first` on."""

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and numbers to log; module is `self.module`, wrapped for many devices."""

    def after_step(self) -> None:
        """Bring parameters back into their allowed range."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Score the module on other data and write images into a folder."""

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the contents of a file of weights, in the published layout."""


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
    """Join the processes that torchrun started, or return a world of one process."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    if size > 1:
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    return World(int(os.environ.get("RANK", "0")), size, device)


def train(stage: Stage, options: Training, report: Callable[[str], None] = print) -> list[dict[str, float]]:
    """Train to the end, from the checkpoint in the output folder if there is one; return the log's entries.

    Raises:
        RestorebenchError: the loss or the weights are not finite, the folder holds a run of another
            configuration, or a process that prepares data was killed.
        RunFolderError: the folder cannot be written, or another training runs in it.
    """
    world = join_world()
    try:
        with owned(options.output) if world.leads else nullcontext(), watched():
            return _train(stage, options, world, report)
    finally:
        if world.size > 1:
            torch.distributed.destroy_process_group()


def _train(stage: Stage, options: Training, world: World, report: Callable[[str], None]) -> list[dict[str, float]]:
    device = world.device
    module = stage.module.to(device)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = optimiser_of(module, options)
    scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "fp16")
    average = Averaged(module, options.average) if options.average else None
    kept = Kept(options, stage.published, module, optimiser, scaler, average, world.size)
    start = kept.resume(world.leads, report)
    wrapped = _over_processes(module, world)
    batches = stage.batches(start * options.accumulate, world.rank, world.size)
    log = Log(options.output, world.leads, start)

    shown = average.module if average is not None else module
    validate = partial(_validate, stage, shown, options, device, log, report)
    validated = any(name.startswith("validation/") for entry in log.entries[-1:] for name in entry)
    if world.leads and start == options.iterations and not validated:
        validate(start)  # the run stopped after the last checkpoint and before this validation
    if world.leads and start >= options.iterations:
        report(f"finished already, after {counted(start, 'iteration')}; the weights are in {options.output}")
    for iteration in range(start + 1, options.iterations + 1):
        began = time.perf_counter()
        for group, base in zip(optimiser.param_groups, base_rates(options), strict=True):
            group["lr"] = rate(options, iteration, base)
        numbers = _step(stage, wrapped, batches, options, device, scaler)
        _require_finite(numbers, iteration)
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
        if not world.leads:
            continue
        last = iteration == options.iterations
        if iteration % options.log_every == 0 or last:
            report(f"{iteration}/{options.iterations} " + " ".join(f"{k} {v:.4g}" for k, v in numbers.items()))
        if iteration % options.save_every == 0 or last:
            log.flush()
            kept.save(iteration)
        if iteration % options.validate_every == 0 or last:
            validate(iteration)
    log.close()
    return log.entries


def _over_processes(module: nn.Module, world: World) -> nn.Module:
    """Wrap a module so that the processes of a world share gradients; a world of one uses the module itself."""
    if world.size == 1:
        return module
    device_ids = [world.device.index] if world.device.type == "cuda" else None
    # Some parameters are unused: queries and keys over a single context token, links without captions.
    return DistributedDataParallel(module, device_ids=device_ids, find_unused_parameters=True)


def _validate(
    stage: Stage,
    module: nn.Module,
    options: Training,
    device: torch.device,
    log: Log,
    report: Callable[[str], None],
    iteration: int,
) -> None:
    """Score a module on the validation data, if there are any, and log the scores."""
    if options.validation is None:
        return
    folder = options.output / "validation" / str(iteration)
    with writing(folder):
        scores = stage.validate(module, folder, device)
    log.add(iteration, {f"validation/{name}": value for name, value in scores.items()})
    log.flush()
    report(f"{iteration} validation " + " ".join(f"{k} {v:.4g}" for k, v in scores.items()))


def _require_finite(numbers: Mapping[str, float], iteration: int) -> None:
    """Check that the loss is finite.

    Raises:
        RestorebenchError: it is not.
    """
    if not all(math.isfinite(value) for value in numbers.values()):
        raise RestorebenchError(
            f"iteration {iteration}: the loss is not finite; the same command with a lower learning_rate,"
            " a clip_norm or precision=fp32 goes on from the last checkpoint"
        )


def _step(
    stage: Stage,
    module: nn.Module,
    batches: Iterator[dict[str, Any]],
    options: Training,
    device: torch.device,
    scaler: torch.amp.GradScaler,
) -> dict[str, float]:
    """Accumulate the gradients of one step; return the means of its parts' loss and logged numbers."""
    dtype = None if options.precision == "fp32" else DTYPES[options.precision]
    totals: dict[str, float] = {}
    for part in range(options.accumulate):
        batch = next(batches)
        last = part == options.accumulate - 1
        alone = module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()
        with alone, torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, numbers = stage.loss(module, batch, device)
            scaler.scale(loss / options.accumulate).backward()  # type: ignore[no-untyped-call]  # of torch
        for name, value in {"loss": float(loss.detach()), **numbers}.items():
            totals[name] = totals.get(name, 0.0) + value / options.accumulate
    return totals
