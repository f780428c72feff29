"""Schedule tables, single steps and whole runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from restorebench.toolbox.parity import Row, distance, tensor
from restorebench.toolbox.rule_weights import noise
from restorebench_daclip import samplers, sde
from restorebench_daclip.parity.fixtures import Fixtures, unet_of
from restorebench_daclip.samplers import Predictor


def schedule_tables(fixtures: Fixtures) -> Iterator[Row]:
    """Compare every table of every schedule; one part in 500,000 is allowed."""
    stored = fixtures.arrays("sde_tables")
    for prefix in dict.fromkeys(key.split("/")[0] for key in stored):
        kind, trained, steps, sigma, epsilon = re.split(r"_[a-zA-Z]+", prefix)
        table = sde.schedule(kind, int(steps), float(sigma), float(epsilon), int(trained))  # type: ignore[arg-type]  # a kind
        every = torch.arange(1, table.steps + 1)
        of_state, of_clean = sde.posterior_coefficients(table, every)
        ours = {
            "thetas": table.theta,
            "sigmas": table.sigma,
            "thetas_cumsum": table.cumulative,
            "sigma_bars": table.sigma_bar,
            "dt": table.dt,
            "max_sigma": torch.tensor(table.scale),
            "posterior_std": sde.posterior_std(table, every),
            "post_coef_xt": of_state,
            "post_coef_x0": of_clean,
            "mean_decay": table.decay(torch.arange(table.steps + 1)),
        }
        worst = max(distance(value, stored[f"{prefix}/{name}"], 2e-6) for name, value in ours.items())
        yield Row(f"schedule {prefix}", worst, 0.0)


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

_STATES = {
    "posterior": samplers.posterior,
    "sde": samplers.reverse_sde,
    "ode": samplers.reverse_ode,
}


def toy_runs(fixtures: Fixtures) -> Iterator[Row]:
    """Compare whole runs with a network in closed form."""
    stored = fixtures.arrays("run_toy")
    mu = tensor(stored["mu"])

    def clean_share(state: Tensor, time: float) -> Tensor:
        return 0.3 * torch.sin(6 * mu + 0.05 * time) - 0.2 * torch.tanh(5 * (state - mu))

    yield from _runs("toy", stored, mu, clean_share, 5e-6)


def tiny_runs(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare whole runs with a small U-Net inside."""
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

        states = list(_STATES[sampler](Predictor(network, mu, table), draw))
        wanted = {int(key.split("state")[1]): key for key in stored if key.startswith(f"{case}/state")}
        wanted[0] = f"{case}/final"
        worst = max(distance(states[table.steps - index], stored[key]) for index, key in wanted.items())
        yield Row(f"{prefix} {case}", worst, allowed)
