"""Step-by-step samplers of the published method. Randomness is an argument: the same noise, the same image.

Every sampler takes `predict`, the network with its contexts bound, and returns the clean estimate in image units,
neither clipped nor rounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from restorebench_daclip import sde
from restorebench_daclip.sde import Schedule

Prediction = Literal["noise", "data"]
Network = Callable[[Tensor, float], Tensor]
"""(state (B, C, H, W), network time) -> what it was trained to predict, of the same shape."""
Noise = Callable[[int], Tensor]
"""A step -> standard normal noise of the state's shape. Step T + 1 is the start's."""


@dataclass(frozen=True)
class Predictor:
    """A network bound to a degraded image and its contexts.

    prediction: `noise` e of the state, or `data`, the difference x_0 - mu. The data head is a network's better
    choice where it is small: at the last step an error of the noise head is magnified 39 times in x_0.
    """

    network: Network
    degraded: Tensor
    schedule: Schedule
    prediction: Prediction = "noise"

    def both(self, state: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the noise and the clean image that the network sees in a state."""
        answer = self.network(state, float(self.schedule.network_time(step)))
        if self.prediction == "noise":
            return answer, sde.clean_from_noise(self.schedule, state, self.degraded, step, answer)
        clean = answer + self.degraded
        return sde.noise_from_clean(self.schedule, state, self.degraded, step, clean), clean

    def noise(self, state: Tensor, step: int) -> Tensor:
        """Return the noise that the network sees in a state."""
        return self.both(state, step)[0]

    def clean(self, state: Tensor, step: int) -> Tensor:
        """Return the clean image that the network sees in a state."""
        return self.both(state, step)[1]


def posterior(predictor: Predictor, noise: Noise) -> Tensor:
    """Draw each state from its posterior given the predicted clean image; one evaluation per step."""
    return last(posterior_states(predictor, noise))


def posterior_states(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Yield the states of `posterior`, from the start to the result."""
    schedule, degraded = predictor.schedule, predictor.degraded
    state = sde.start(schedule, degraded, noise(schedule.steps + 1))
    yield state
    for step in range(schedule.steps, 0, -1):
        mean = sde.posterior_mean(schedule, state, degraded, step, predictor.clean(state, step))
        state = mean + sde.posterior_std(schedule, step) * noise(step)
        yield state


def reverse_sde(predictor: Predictor, noise: Noise) -> Tensor:
    """Follow the reverse SDE by Euler-Maruyama steps, as the paper's tables were made."""
    return last(reverse_sde_states(predictor, noise))


def reverse_sde_states(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Yield the states of `reverse_sde`, from the start to the result."""
    schedule, degraded = predictor.schedule, predictor.degraded
    state = sde.start(schedule, degraded, noise(schedule.steps + 1))
    yield state
    for step in range(schedule.steps, 0, -1):
        score = sde.score_from_noise(schedule, predictor.noise(state, step), step)
        state = sde.reverse_sde_step(schedule, state, degraded, step, score, noise(step))
        yield state


def reverse_ode(predictor: Predictor, noise: Noise) -> Tensor:
    """Follow the probability-flow ODE by Euler steps; only the start is random."""
    return last(reverse_ode_states(predictor, noise))


def reverse_ode_states(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Yield the states of `reverse_ode`, from the start to the result."""
    schedule, degraded = predictor.schedule, predictor.degraded
    state = sde.start(schedule, degraded, noise(schedule.steps + 1))
    yield state
    for step in range(schedule.steps, 0, -1):
        score = sde.score_from_noise(schedule, predictor.noise(state, step), step)
        state = sde.reverse_ode_step(schedule, state, degraded, step, score)
        yield state


def last(states: Iterator[Tensor]) -> Tensor:
    """Run a sampler to its end and return the result."""
    *_, result = deque(states, maxlen=1)
    return result
