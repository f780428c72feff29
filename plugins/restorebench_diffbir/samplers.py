"""Samplers over trained steps: spaced DDPM and DDIM. Randomness is an argument: the same noise, the same latent.

Every sampler takes what the network says of a state and yields its states to the result, which `last` returns.
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
"""(state (B, 4, h, w), trained step, under the positive prompt?) -> what it was trained to predict."""
Output = Callable[[Tensor, float], Tensor]
"""(state, trained step) -> the same, under both prompts."""
Noise = Iterator[Tensor]
"""Standard normal draws of the state's shape, in the published order."""
Steer = Callable[[Tensor, int], Tensor]
"""(clean estimate, place of the step from the cleanest) -> the clean estimate that is gone on with."""


@dataclass(frozen=True)
class Guided:
    """Classifier-free guidance (Ho and Salimans, 2021): lead from the negative to the positive prompt, and beyond.

    On the raw output in every sampler; where the published code does so on clean estimates, they are affine in it.
    ramped: the scale rises from 1 at the noisiest step. At a scale of 1 the negative prompt is not evaluated.
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
    for place in reversed(range(len(table.steps))):
        step = table.steps[place]
        clean = table.to_clean[place] * state - table.from_output[place] * output(state, step)
        if steer is not None:
            clean = steer(clean, place)
        drawn = next(noise)  # at the last step too, as published, though it is not used there
        state = table.first[place] * clean + table.second[place] * state
        if place:
            state = state + table.variance[place].sqrt() * drawn
        yield state


def ddim(output: Output, schedule: Schedule, steps: int, start: Tensor, noise: Noise) -> Iterator[Tensor]:
    """Follow the deterministic path (Song et al., 2021, eta 0); noise is drawn as published, and not used."""
    state, visited = start, ddim_steps(steps)
    for place in reversed(range(len(visited))):
        share = float(schedule.shares[visited[place]])
        before = float(schedule.shares[visited[place - 1] if place else 0])
        answer = output(state, visited[place])
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
