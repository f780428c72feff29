"""Optimisers, learning rates, and the moving average of weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from restorebench.contract.errors import RestorebenchError
from restorebench.training.config import Average, Training


class Lion(torch.optim.Optimizer):
    """The Lion optimiser: steps along the sign of a blend of momentum and gradient (Chen et al., 2023, alg. 2)."""

    def __init__(self, groups: Any, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is needed
        """Move every parameter by the learning rate, along the sign."""
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
    """Return the optimiser; weight decay leaves out biases, gains and prompts, which vary along at most one axis.

    The parameter groups are in the order of `base_rates`.

    Raises:
        RestorebenchError: a key of `rates` is in no parameter's name.
    """
    words = ("", *(options.rates or {}))
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": decay} for _ in words for decay in (options.weight_decay, 0.0)
    ]
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            one_axis = max(parameter.shape, default=1) == parameter.numel()  # a gain may be (1, C, 1, 1)
            number = next((number for number, word in enumerate(words) if word and word in name), 0)
            groups[2 * number + one_axis]["params"].append(parameter)
    for number, word in enumerate(words):
        if word and not any(group["params"] for group in groups[2 * number : 2 * number + 2]):
            raise RestorebenchError(f"rates: no parameter has {word!r} in its name; correct or remove it")
    shared: dict[str, Any] = {"lr": options.learning_rate, "betas": options.betas}
    if options.optimiser == "lion":
        return Lion(groups, **shared)
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, eps=options.epsilon, **shared)


def base_rates(options: Training) -> list[float]:
    """Return the base learning rates of the optimiser's groups: two groups per rate, with and without decay."""
    return [base for base in (options.learning_rate, *(options.rates or {}).values()) for _ in range(2)]


def rate(options: Training, iteration: int, base: float | None = None) -> float:
    """Return the learning rate of an iteration, counted from 1. base: replaces `learning_rate`."""
    base = options.learning_rate if base is None else base
    if iteration <= options.warm_up:
        return base * iteration / options.warm_up
    if options.schedule == "multistep":
        steps = [(step, 0.5) if isinstance(step, int) else step for step in options.milestones]
        return base * math.prod(factor for after, factor in steps if iteration > after)
    if options.schedule == "constant":
        return base
    done = iteration - options.warm_up - 1
    if options.schedule == "restarts":
        return _restarted(options.periods or (), done, base)
    return _cosine(base, options.least_rate, done / max(options.iterations - options.warm_up, 1))


def _restarted(periods: Sequence[tuple[int, float]], done: int, base: float) -> float:
    """Return the rate after `done` iterations, in the period that they fall into; it ends at its least rate."""
    for length, least in periods:
        if done <= length:
            return _cosine(base, least, done / length)
        done -= length
    return periods[-1][1]


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


class Averaged:
    """A copy of a module whose weights are a moving average, which moves more slowly the longer training has run.

    Buffers, such as the statistics of batch normalisation, are copied at each update.
    """

    def __init__(self, module: nn.Module, options: Average) -> None:
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
            for held, now in zip(self.module.buffers(), module.buffers(), strict=True):
                held.copy_(now)
