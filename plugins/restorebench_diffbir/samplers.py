"""Samplers over trained steps: spaced DDPM and DDIM. Noise is an argument: the same noise gives the same latent.

Every sampler takes a function that evaluates the network on a state. It yields all its states; `last` returns the
final one, which is the result.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from restorebench_diffbir.schedule import Schedule, Spaced, ramp
from restorebench_diffbir.steps import ddim_steps

Network = Callable[[Tensor, float, bool], Tensor]
"""(state (B, 4, h, w), trained step, positive prompt?) -> the quantity that the network was trained to predict."""
Output = Callable[[Tensor, float], Tensor]
"""(state, trained step) -> the same quantity, from both prompts."""
Noise = Iterator[Tensor]
"""Standard normal draws of the state's shape, in the published order."""
Steer = Callable[[Tensor, int], Tensor]
"""(clean estimate, index of the step, 0 for the cleanest) -> the clean estimate to continue with."""


@dataclass(frozen=True)
class Guided:
    """Classifier-free guidance (Ho and Salimans, 2021): extrapolation from the negative to the positive prompt.

    It acts on the raw output in every sampler. The published code acts on clean estimates in some; the result is
    the same, because they are affine in the output. ramped: the scale rises from 1 at the noisiest step. At a
    scale of 1 the negative prompt is not evaluated.
    """

    network: Network
    scale: float
    ramped: bool = False

    def __call__(self, state: Tensor, step: float) -> Tensor:
        scale = ramp(self.scale, step) if self.ramped else self.scale
        positive = self.network(state, step, True)
        if scale == 1:
            return positive
        negative = self.network(state, step, False)
        return negative + scale * (positive - negative)


def ddpm(
    output: Output, table: Spaced, start: Tensor, noise: Noise, steer: Steer | None = None
) -> Iterator[Tensor]:
    """Draw each state from its posterior given the clean estimate, which `steer` may move."""
    state = start
    for index in reversed(range(len(table.steps))):
        step = table.steps[index]
        clean = table.to_clean[index] * state - table.from_output[index] * output(state, step)
        if steer is not None:
            clean = steer(clean, index)
        drawn = next(noise)  # at the last step too, as published, though it is not used there
        state = table.first[index] * clean + table.second[index] * state
        if index:
            state = state + table.variance[index].sqrt() * drawn
        yield state


def ddim(output: Output, schedule: Schedule, steps: int, start: Tensor, noise: Noise) -> Iterator[Tensor]:
    """Follow the deterministic path (Song et al., 2021, eta 0); noise is drawn, as published, but not used."""
    state, visited = start, ddim_steps(steps)
    for index in reversed(range(len(visited))):
        share = float(schedule.shares[visited[index]])
        before = float(schedule.shares[visited[index - 1] if index else 0])
        answer = output(state, visited[index])
        signal, spread = math.sqrt(share), math.sqrt(1 - share)
        if schedule.parameterisation == "eps":
            clean, error = (state - spread * answer) / signal, answer
        else:
            clean, error = signal * state - spread * answer, signal * answer + spread * state
        next(noise)
        state = math.sqrt(before) * clean + math.sqrt(1 - before) * error
        yield state


def last(states: Iterator[Tensor]) -> Tensor:
    """Run a sampler to its end and return the result."""
    *_, result = deque(states, maxlen=1)
    return result
