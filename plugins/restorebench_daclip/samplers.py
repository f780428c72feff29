"""Step-by-step samplers of the published method. Noise is an argument: the same noise gives the same image.

Every sampler takes a `Predictor` (a network with its contexts bound) and yields its states from the start to the
result. `last` returns the result: the clean estimate in image units, neither clipped nor rounded.
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
"""(state (B, C, H, W), network time) -> the prediction that it was trained for, of the same shape."""
Noise = Callable[[int], Tensor]
"""A step -> standard normal noise of the state's shape. Step T + 1 gives the noise of the start."""


@dataclass(frozen=True)
class Predictor:
    """A network bound to a degraded image and its contexts.

    prediction: `noise` is e of the state, `data` is the difference x_0 - mu. The data head is better for a small
    network: at the last step an error of the noise head is magnified 39 times in x_0.
    """

    network: Network
    degraded: Tensor
    schedule: Schedule
    prediction: Prediction = "noise"

    def both(self, state: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the noise and the clean image that the network predicts for a state."""
        answer = self.network(state, float(self.schedule.network_time(step)))
        if self.prediction == "noise":
            return answer, sde.clean_from_noise(self.schedule, state, self.degraded, step, answer)
        clean = answer + self.degraded
        return sde.noise_from_clean(self.schedule, state, self.degraded, step, clean), clean

    def noise(self, state: Tensor, step: int) -> Tensor:
        """Return the noise that the network predicts for a state."""
        return self.both(state, step)[0]

    def clean(self, state: Tensor, step: int) -> Tensor:
        """Return the clean image that the network predicts for a state."""
        return self.both(state, step)[1]


def posterior(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Draw each state from its posterior given the predicted clean image."""
    schedule, degraded = predictor.schedule, predictor.degraded

    def move(state: Tensor, step: int) -> Tensor:
        mean = sde.posterior_mean(schedule, state, degraded, step, predictor.clean(state, step))
        return mean + sde.posterior_std(schedule, step) * noise(step)

    return _states(predictor, noise, move)


def reverse_sde(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Follow the reverse SDE by Euler-Maruyama steps; the paper's tables were made with this sampler."""
    schedule, degraded = predictor.schedule, predictor.degraded

    def move(state: Tensor, step: int) -> Tensor:
        score = sde.score_from_noise(schedule, predictor.noise(state, step), step)
        return sde.reverse_sde_step(schedule, state, degraded, step, score, noise(step))

    return _states(predictor, noise, move)


def reverse_ode(predictor: Predictor, noise: Noise) -> Iterator[Tensor]:
    """Follow the probability-flow ODE by Euler steps; only the start is random."""
    schedule, degraded = predictor.schedule, predictor.degraded

    def move(state: Tensor, step: int) -> Tensor:
        score = sde.score_from_noise(schedule, predictor.noise(state, step), step)
        return sde.reverse_ode_step(schedule, state, degraded, step, score)

    return _states(predictor, noise, move)


def _states(predictor: Predictor, noise: Noise, move: Callable[[Tensor, int], Tensor]) -> Iterator[Tensor]:
    """Start from noise and move at every step, from T down to 1."""
    state = sde.start(predictor.schedule, predictor.degraded, noise(predictor.schedule.steps + 1))
    yield state
    for step in range(predictor.schedule.steps, 0, -1):
        state = move(state, step)
        yield state


def last(states: Iterator[Tensor]) -> Tensor:
    """Run a sampler to its end and return the result."""
    *_, result = deque(states, maxlen=1)
    return result
