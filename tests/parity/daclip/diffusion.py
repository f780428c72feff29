"""Schedule tables, single steps and whole runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from restorebench_daclip import samplers, sde
from restorebench_daclip.samplers import Predictor
from torch import Tensor

from tests.parity.comparing import Row, distance, tensor
from tests.parity.daclip import rounding
from tests.parity.daclip.fixtures import Fixtures, unet_of
from tests.parity.rule_weights import noise


def schedule_tables(fixtures: Fixtures) -> Iterator[Row]:
    """Compare every table of every schedule with the published one, relative to the rounding error it may have.

    theta is one minus a ratio of squared cosines, all at most 1. A cosine errs by one unit in its last place,
    which is two roundings, and its square by twice that and one more: 8 roundings of 1 are allowed for the
    difference. A sum of n values of theta, in any order, adds at most n roundings of itself. All other tables
    follow from theta, its sums and dt by exponentials. They are computed from the published theta, sums and dt, so
    that errors of those three do not count twice.
    """
    stored = fixtures.arrays("sde_tables")
    for prefix in dict.fromkeys(key.split("/")[0] for key in stored):
        kind, trained, steps, sigma, epsilon = re.split(r"_[a-zA-Z]+", prefix)
        table = sde.schedule(kind, int(steps), float(sigma), float(epsilon), int(trained))  # type: ignore[arg-type]  # a kind
        published = {key.partition("/")[2]: stored[key] for key in stored if key.startswith(f"{prefix}/")}
        yield from _basis(prefix, table, {name: tensor(value).double() for name, value in published.items()})
        theta, cumulative, dt = (tensor(published[name]) for name in _BASIS.values())
        yield from _derived(prefix, sde.from_reversion(theta, cumulative, dt, table.scale), published)


_BASIS = {"theta": "thetas", "cumulative": "thetas_cumsum", "dt": "dt"}
"""The tables that the others follow from, and their names in the published code."""


def _basis(prefix: str, table: sde.Schedule, published: dict[str, Tensor]) -> Iterator[Row]:
    of_theta = 8 * rounding.UNIT
    count = len(table.theta)
    of_sum = count * (of_theta + rounding.UNIT * published["thetas_cumsum"].abs().max())
    of_dt = published["dt"] * (of_sum / published["thetas_cumsum"][-1] + 4 * rounding.UNIT)
    bounds = {"theta": of_theta, "cumulative": of_sum, "dt": of_dt}
    for ours, name in _BASIS.items():
        apart = (getattr(table, ours).double() - published[name]).abs().max()
        yield Row(f"schedule {prefix} {name}", float(apart / bounds[ours]), 1.0)
    yield Row(f"schedule {prefix} max_sigma", abs(table.scale / float(published["max_sigma"]) - 1), rounding.UNIT)


def _derived(prefix: str, table: sde.Schedule, published: dict[str, Any]) -> Iterator[Row]:
    """Compare the tables that follow from the basis with the published ones."""
    every = torch.arange(1, table.steps + 1)
    theta, cumulative, dt = (getattr(table, name).double() for name in _BASIS)
    once, here, before = theta[1:] * dt, cumulative[1:] * dt, cumulative[:-1] * dt
    scale = table.scale
    floor = 1e-20 * dt

    def deviation(once: Tensor, here: Tensor, before: Tensor) -> Tensor:
        return scale * ((1 - once) * (1 - before) / (1 - here)).clamp(min=floor).sqrt()

    of_state, of_clean = sde.posterior_coefficients(table, every)
    exact = {
        "mean_decay": rounding.of_exponentials(lambda a: 1.0 * a, cumulative * dt),
        "sigma_bars": rounding.of_exponentials(lambda a: scale * (1 - a).sqrt(), 2 * cumulative * dt),
        "post_coef_xt": rounding.of_exponentials(lambda o, h, b: o * (1 - b**2) / (1 - h**2), once, here, before),
        "post_coef_x0": rounding.of_exponentials(lambda o, h, b: b * (1 - o**2) / (1 - h**2), once, here, before),
        "posterior_std": rounding.of_exponentials(deviation, 2 * once, 2 * here, 2 * before),
        "sigmas": (scale * (2 * theta).sqrt(), 8 * rounding.UNIT * scale * (2 * theta).sqrt()),
    }
    ours = {
        "mean_decay": table.decay(torch.arange(table.steps + 1)),
        "sigma_bars": table.sigma_bar,
        "post_coef_xt": of_state,
        "post_coef_x0": of_clean,
        "posterior_std": sde.posterior_std(table, every),
        "sigmas": table.sigma,
    }
    value, bound = exact["posterior_std"]
    # it is computed as exp(log(variance) / 2): a rounding error of the logarithm is a relative error of the result
    exact["posterior_std"] = value, bound + 2 * rounding.UNIT * value * (value / scale).log().abs()
    for name, (value, bound) in exact.items():
        apart = [(each.double() - value).abs() / bound for each in (ours[name], tensor(published[name]))]
        # where the bound is 0, at the clean end, both must be equal; see `same`
        worst = torch.stack(apart)[:, bound > 0].max()
        same = all(
            torch.equal(each[bound == 0].double(), value[bound == 0])
            for each in (ours[name], tensor(published[name]))
        )
        yield Row(f"schedule {prefix} {name}", float(worst) if same else math.inf, 1.0)


def single_steps(fixtures: Fixtures) -> Iterator[Row]:
    """Compare every closed form and step at the first, middle and last step of two schedules."""
    stored = fixtures.arrays("sde_steps")
    get = {name: tensor(stored[name]) for name in ("x0", "mu", "eps_hat", "z", "z_forward")}
    clean, mu, predicted = get["x0"], get["mu"], get["eps_hat"]
    for kind in ("cosine", "linear"):
        table = sde.schedule(kind)
        start = sde.start(table, mu, get["z_forward"])
        yield Row(f"step {kind} start", distance(start, stored[f"{kind}/noise_state"], 1e-5), 1e-6)
        for step in (1, 50, 100):
            case = f"{kind}/t{step}"
            state = tensor(stored[f"{case}/xt"])
            score = sde.score_from_noise(table, predicted, step)
            seen = sde.clean_from_noise(table, state, mu, step, predicted)
            next_mean = sde.posterior_mean(table, state, mu, step, seen)
            ours = {
                "xt": sde.marginal(table, clean, mu, step, get["z_forward"]),
                "score": score,
                "forward_step": sde.forward_step(table, state, mu, step, get["z"]),
                "reverse_sde_step_mean": sde.reverse_sde_mean(table, state, mu, step, score),
                "reverse_sde_step": sde.reverse_sde_step(table, state, mu, step, score, get["z"]),
                "reverse_ode_step": sde.reverse_ode_step(table, state, mu, step, score),
                "optimum_step_true_x0": sde.posterior_mean(table, state, mu, step, clean),
                "optimum_std": sde.posterior_std(table, step),
                "posterior_step": next_mean + sde.posterior_std(table, step) * get["z"],
            }
            worst = max(distance(value, stored[f"{case}/{name}"], 1e-5) for name, value in ours.items())
            yield Row(f"step {case}", worst, 1e-6)
            # the clean image is magnified 200 times at the last step, the noise 270 times at the first
            yield Row(f"step {case} clean", distance(seen, stored[f"{case}/x0_from_noise"], 1e-4), 1e-6)
            drawn = sde.noise_from_clean(table, state, mu, step, clean)
            yield Row(f"step {case} noise", distance(drawn, stored[f"{case}/real_noise"], 1e-4), 1e-5)
        steps = tensor(stored[f"{kind}/batch_t"]).long()
        state = tensor(stored[f"{kind}/batch_states"])
        score = sde.score_from_noise(table, predicted, steps)
        ours = {
            "batch_sde_mean": sde.reverse_sde_mean(table, state, mu, steps, score),
            "batch_optimum": sde.posterior_mean(table, state, mu, steps, clean),
            "batch_weights": table.decay(steps),
        }
        worst = max(distance(value, stored[f"{kind}/{name}"], 1e-5) for name, value in ours.items())
        yield Row(f"step {kind} of a batch", worst, 1e-6)


# ---------------------------------------------------------------- trajectories

_SAMPLERS = {
    "posterior": samplers.posterior,
    "sde": samplers.reverse_sde,
    "ode": samplers.reverse_ode,
}


def toy_runs(fixtures: Fixtures) -> Iterator[Row]:
    """Compare whole runs with a closed form as the network."""
    stored = fixtures.arrays("run_toy")
    mu = tensor(stored["mu"])

    def clean_share(state: Tensor, time: float) -> Tensor:
        return 0.3 * torch.sin(6 * mu + 0.05 * time) - 0.2 * torch.tanh(5 * (state - mu))

    yield from _runs("toy", stored, mu, clean_share, 5e-6)


def tiny_runs(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare whole runs with a small U-Net as the network."""
    stored = fixtures.arrays(f"run_{name}")
    mu, image, text = (tensor(stored[key]) for key in ("lq", "image_context", "text_context"))
    unet = fixtures.network(name, unet_of)
    conditioning = unet.condition(image, text)

    def clean_share(state: Tensor, time: float) -> Tensor:
        out: Tensor = 0.3 * torch.tanh(unet(state, mu, torch.tensor([time]), conditioning))
        return out

    yield from _runs(f"run_{name}", stored, mu, clean_share, 1e-4)


def _runs(
    prefix: str, stored: Any, mu: Tensor, clean_share: Callable[[Tensor, float], Tensor], allowed: float
) -> Iterator[Row]:
    for case in dict.fromkeys(key.split("/")[0] for key in stored if "_sT" in key):
        sampler, _, steps = case.partition("_sT")
        table = sde.schedule(steps=int(steps), trained_steps=100)

        def network(state: Tensor, time: float, table: sde.Schedule = table) -> Tensor:
            step = round(time / table.time_scale)
            share = clean_share(state, time)
            return (state - mu - table.decay(step) * share) / table.sigma_bar[step]

        def draw(step: int, last: int = table.steps) -> Tensor:
            return noise(f"{prefix}/zT" if step > last else f"{prefix}/z/{step}", tuple(mu.shape))

        states = list(_SAMPLERS[sampler](Predictor(network, mu, table), draw))
        wanted = {int(key.split("state")[1]): key for key in stored if key.startswith(f"{case}/state")}
        wanted[0] = f"{case}/final"
        worst = max(distance(states[table.steps - index], stored[key]) for index, key in wanted.items())
        yield Row(f"{prefix} {case}", worst, allowed)
