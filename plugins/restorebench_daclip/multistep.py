"""Fast samplers: exponential integrators of first and second order, for 5 to 20 evaluations.

With mu fixed, y = x - mu is a variance-preserving diffusion scaled by lambda: y_t = a_t y_0 + s_t e. Its linear
part is solved exactly over any step, and only the prediction of the network is extrapolated, as in DPM-Solver++
(Lu et al., 2022) and for mean-reverting diffusion in MaRS (ICLR 2025). The SDE solver of order 1 in data form is
`posterior` if it takes every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor

from restorebench_daclip import sde
from restorebench_daclip.samplers import Noise, Predictor
from restorebench_daclip.sde import Schedule

Grid = Literal["time", "log-snr"]
Form = Literal["data", "noise"]
Order = Literal[1, 2]


@dataclass(frozen=True)
class Level:
    """A noise level: its time in steps (not always a whole number), a_t (`decay`) and s_t (`deviation`)."""

    time: float
    decay: float
    deviation: float

    @property
    def log_snr(self) -> float:
        """Half of the log of the signal-to-noise ratio: ln(a_t / s_t)."""
        return math.log(self.decay / self.deviation)


def level(schedule: Schedule, time: float) -> Level:
    """Return the level at a time in (0, T]; between two steps the decay is exponential."""
    below = min(math.floor(time), schedule.steps - 1)
    left, right = (float(schedule.cumulative[step]) for step in (below, below + 1))
    exponent = (left + (time - below) * (right - left)) * float(schedule.dt)
    deviation = schedule.scale * math.sqrt(-math.expm1(-2 * exponent))
    return Level(time, math.exp(-exponent), deviation)


def level_of_log_snr(schedule: Schedule, log_snr: float) -> Level:
    """Return the level with this ln(a_t / s_t), the inverse of `Level.log_snr`.

    Raises:
        ValueError: the level lies beyond the last step of the schedule.
    """
    ratio = (schedule.scale * math.exp(log_snr)) ** 2
    cumulative = -0.5 * math.log(ratio / (1 + ratio)) / float(schedule.dt)
    above = 1 + int((schedule.cumulative[1:] < cumulative * (1 - 1e-12)).sum())
    if above > schedule.steps:
        if cumulative > float(schedule.cumulative[-1]) * (1 + 1e-6):
            raise ValueError(f"a log signal-to-noise ratio of {log_snr:.3g} lies beyond the last step")
        above = schedule.steps
    left, right = (float(schedule.cumulative[step]) for step in (above - 1, above))
    return level(schedule, above - 1 + min((cumulative - left) / (right - left), 1.0))


def levels(schedule: Schedule, evaluations: int, grid: Grid = "time") -> list[Level]:
    """Choose where to evaluate the network, from step T down.

    `time` spaces T, T - T/N, ..., T/N evenly; `log-snr` spaces the log signal-to-noise ratio evenly from T to 1.

    Raises:
        ValueError: fewer than one evaluation, or more evaluations than steps.
    """
    if not 1 <= evaluations <= schedule.steps:
        raise ValueError(
            f"evaluations must be between 1 and the schedule's {schedule.steps} steps, got {evaluations}"
        )
    if grid == "time":
        return [level(schedule, schedule.steps * (1 - k / evaluations)) for k in range(evaluations)]
    first, final = level(schedule, schedule.steps), level(schedule, 1)
    rise = (final.log_snr - first.log_snr) / max(evaluations - 1, 1)
    between = [level_of_log_snr(schedule, first.log_snr + k * rise) for k in range(1, evaluations - 1)]
    return [first, *between, final][:evaluations]


def multistep(
    predictor: Predictor,
    noise: Noise,
    at: Sequence[Level],
    *,
    order: Order = 2,
    form: Form = "data",
    stochastic: bool = False,
) -> Iterator[Tensor]:
    """Sample with one evaluation per level of `at`: yield the start, a state at each later level, the result.

    form: which prediction is constant over a step, or extrapolated at order 2; both forms work with any network.
    stochastic: follow the reverse SDE with fresh noise at every step instead of the probability-flow ODE.
    """
    degraded = predictor.degraded
    state = sde.start(predictor.schedule, degraded, noise(predictor.schedule.steps + 1))
    yield state
    before: tuple[Tensor, float] | None = None  # the prediction one step ago, and the length of that step
    for index, (here, there) in enumerate(pairwise(at)):
        used = predicted = _predict(predictor, state, here)[form]
        length = there.log_snr - here.log_snr
        if order == 2 and before is not None:
            used = predicted + length / (2 * before[1]) * (predicted - before[0])
        before = predicted, length
        state = degraded + _step(state - degraded, used, here, there, form, stochastic)
        if stochastic:
            state = state + _spread(there, length, form) * noise(len(at) - 1 - index)
        yield state
    yield degraded + _predict(predictor, state, at[-1])["data"]


def _predict(predictor: Predictor, state: Tensor, here: Level) -> dict[str, Tensor]:
    """Return y_0 (`data`) and e (`noise`) that the network predicts for a state."""
    answer = predictor.network(state, float(predictor.schedule.network_time(here.time)))
    offset = state - predictor.degraded
    if predictor.prediction == "data":
        return {"data": answer, "noise": (offset - here.decay * answer) / here.deviation}
    return {"data": (offset - here.deviation * answer) / here.decay, "noise": answer}


def _step(offset: Tensor, used: Tensor, here: Level, there: Level, form: str, stochastic: bool) -> Tensor:
    """Move y from one level to the next, without the noise."""
    length = there.log_snr - here.log_snr
    times = 2 if stochastic else 1
    if form == "noise":
        return there.decay / here.decay * offset - times * there.deviation * math.expm1(length) * used
    kept = there.deviation / here.deviation * math.exp(-(times - 1) * length)
    return kept * offset - there.decay * math.expm1(-times * length) * used


def _spread(there: Level, length: float, form: str) -> float:
    """Return the standard deviation of the noise that a stochastic step adds."""
    return there.deviation * math.sqrt(math.expm1(2 * length) if form == "noise" else -math.expm1(-2 * length))
