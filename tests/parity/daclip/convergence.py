"""Convergence of the solvers on exact denoisers: `python -m tests.parity.daclip.convergence`.

There are two toy problems in double precision, on the published cosine schedule, from step 100 to step 1 in equal
steps of log-SNR. ODE: y_0 is from two narrow Gaussians; the error is the greatest of the end state over 64 starts.
SDE: y_0 is from one Gaussian; the error is the relative one of the end state's standard deviation, which is
computed and not sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import get_args

import torch
from restorebench_daclip import multistep, sde
from restorebench_daclip.multistep import Form, Level, Order, level, level_of_log_snr
from restorebench_daclip.samplers import Predictor
from torch import Tensor

DOUBLE = torch.float64
EVALUATIONS = (5, 10, 20, 40, 80, 160, 320)
_MODES, _MODE_SPREAD, _SPREAD = (-0.3, 0.3), 0.05, 0.08
_EXACT = 6000


def schedule() -> sde.Schedule:
    """Return the published cosine schedule in double precision, so that rounding does not hide the order."""
    single = sde.schedule()
    theta = single.theta.to(DOUBLE)
    cumulative = theta.cumsum(0) - theta[0]
    dt = -math.log(sde.EPSILON) / cumulative[-1]
    sigma_bar = single.scale * torch.sqrt(1 - torch.exp(-2 * cumulative * dt))
    return sde.Schedule(theta, single.scale * torch.sqrt(2 * theta), cumulative, sigma_bar, dt, single.scale)


def two_modes(table: sde.Schedule) -> Predictor:
    """Return the exact data prediction for y_0 drawn from two narrow Gaussians, at 64 pixels."""
    means = torch.tensor(_MODES, dtype=DOUBLE)

    def network(state: Tensor, time: float) -> Tensor:
        here = level(table, time)
        y = state[..., None]
        variance = (here.decay * _MODE_SPREAD) ** 2 + here.deviation**2
        share = (-((y - here.decay * means) ** 2) / (2 * variance)).softmax(-1)
        each = means + here.decay * _MODE_SPREAD**2 / variance * (y - here.decay * means)
        return (share * each).sum(-1)

    return Predictor(network, torch.zeros(1, 1, 1, 64, dtype=DOUBLE), table, "data")


def ladder(table: sde.Schedule, count: int) -> list[Level]:
    """Return levels evenly spaced in log-SNR, `count` steps from T to 1; the state at 1 is compared."""
    first, final = level(table, table.steps), level(table, 1)
    rise = (final.log_snr - first.log_snr) / count
    return [first, *(level_of_log_snr(table, first.log_snr + k * rise) for k in range(1, count)), final]


def ode_errors(counts: Sequence[int], order: Order, form: Form) -> list[float]:
    """Return the greatest error of the end state for each number of evaluations."""
    table = schedule()
    start = torch.linspace(-2.5, 2.5, 64, dtype=DOUBLE).reshape(1, 1, 1, -1)

    def end(count: int, order: Order, form: Form) -> Tensor:
        at = ladder(table, count)
        states = multistep.multistep(two_modes(table), lambda _: start, at, order=order, form=form)
        return list(states)[-2]

    exact = end(_EXACT, 2, "data")
    return [float((end(count, order, form) - exact).abs().max()) for count in counts]


def sde_errors(counts: Sequence[int], order: Order, form: Form) -> list[float]:
    """Return the relative error of the end state's standard deviation for each number of evaluations.

    States are linear in the draws, so the variance is the sum over images that get one draw each. A count is at
    most the number of steps of the schedule, because draws are numbered by steps.
    """
    table = schedule()

    def network(state: Tensor, time: float) -> Tensor:
        here = level(table, time)
        return here.decay * _SPREAD**2 / ((here.decay * _SPREAD) ** 2 + here.deviation**2) * state

    def deviation(count: int) -> float:
        at, size = ladder(table, count), count + 1
        unit = torch.eye(size, dtype=DOUBLE)  # image k gets only draw k; the squares add up to the variance

        def draw(key: int) -> Tensor:
            return unit[0 if key > table.steps else len(at) - key].reshape(size, 1, 1, 1)

        bound = Predictor(network, torch.zeros(size, 1, 1, 1, dtype=DOUBLE), table, "data")
        states = list(multistep.multistep(bound, draw, at, order=order, form=form, stochastic=True))
        return float(states[-2].square().sum().sqrt())

    last = level(table, 1)
    exact = math.hypot(last.decay * _SPREAD, last.deviation)
    return [abs(deviation(count) / exact - 1) for count in counts]


def observed_order(errors: Sequence[float]) -> float:
    """Return the order that the last halving of the step shows."""
    return math.log2(errors[-2] / errors[-1])


def main() -> None:
    """Print the errors by number of evaluations, and the order that the last two errors show."""
    kinds: dict[str, Callable[[Sequence[int], Order, Form], list[float]]] = {"ODE": ode_errors, "SDE": sde_errors}
    print(f"| solver | {' | '.join(map(str, EVALUATIONS))} | order |\n|---|{'---|' * (len(EVALUATIONS) + 1)}")
    for kind, errors_of in kinds.items():
        for order in get_args(Order):
            for form in get_args(Form):
                counts = [count for count in EVALUATIONS if kind == "ODE" or count <= schedule().steps]
                errors = errors_of(counts, order, form)
                blank = [""] * (len(EVALUATIONS) - len(counts))
                shown = " | ".join([*(f"{error:.1e}" for error in errors), *blank])
                print(f"| {kind}, order {order}, {form} | {shown} | {observed_order(errors):.2f} |", flush=True)


if __name__ == "__main__":
    main()
