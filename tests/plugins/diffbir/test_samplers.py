"""Samplers against closed forms and against diffusers; see test_parity for whole runs of the published code."""

from __future__ import annotations

import math
from itertools import count
from typing import get_args

import pytest
import torch
from restorebench_diffbir import samplers, sampling, sigma
from restorebench_diffbir.samplers import Guided, last
from restorebench_diffbir.sampling import Sampling, states
from restorebench_diffbir.schedule import Schedule, ramp, spaced
from restorebench_diffbir.sigma import Denoiser, Stochasticity
from restorebench_diffbir.steps import ddim_steps, sigma_steps, spaced_steps
from restorebench_diffbir.versions import Sampler

CLEAN = 0.7
NAMES = get_args(Sampler)


def noise(shape=(1, 4, 4, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) for _ in count())


def knowing(schedule):
    """A network that knows the clean latent: what it predicts leads there from any state."""

    def output(state, step):
        share = float(torch.from_numpy(schedule.shares)[math.ceil(step)])
        error = (state - math.sqrt(share) * CLEAN) / math.sqrt(1 - share)
        if schedule.parameterisation == "eps":
            return error
        return math.sqrt(share) * error - math.sqrt(1 - share) * CLEAN

    return output


@pytest.mark.parametrize("parameterisation", ["eps", "v"])
@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_ends_where_the_network_leads(name, parameterisation):
    """Solvers in sigma tell the network the nearest of their steps: only what evaluates at those is exact."""
    schedule = Schedule(parameterisation)
    start = next(noise(seed=1))
    found = last(states(Sampling(name, 20), knowing(schedule), schedule, start, noise()))
    exact = name in ("spaced", "euler", "euler-a", "lms", "dpm++-2m", "dpm++-2m-sde", "dpm++-3m-sde")
    assert found.sub(CLEAN).abs().max() < (2e-3 if exact else 0.15)


def test_every_name_has_a_sampler():
    assert {*sampling._ONE_STEP, "spaced", "ddim", "dpm++-m2", "lms", "dpm++-2m"} == {*NAMES}


@pytest.mark.parametrize("name", ["euler-a", "dpm-2-a", "dpm++-2s-a", "dpm++-sde", "dpm++-2m-sde", "dpm++-3m-sde"])
def test_without_eta_nothing_is_random(name):
    schedule = Schedule("eps")
    how = Stochasticity(eta=0.0)
    one, other = (
        last(
            states(
                Sampling(name, 5, how), lambda s, t: 0.3 * s, schedule, torch.ones(1, 4, 4, 4), noise(seed=seed)
            )
        )
        for seed in (1, 2)
    )
    assert torch.equal(one, other)


def test_churn_adds_noise_only_where_it_may():
    schedule = Schedule("eps")

    def run(how, seed):
        start = torch.ones(1, 4, 4, 4)
        return last(states(Sampling("euler", 5, how), lambda s, t: 0.3 * s, schedule, start, noise(seed=seed)))

    never = Stochasticity(churn=5.0, churn_from=1e6, churn_to=1e7)
    assert torch.equal(run(never, 1), run(never, 2))
    assert not torch.equal(run(Stochasticity(churn=5.0), 1), run(Stochasticity(churn=5.0), 2))


def test_linear_multistep_of_higher_order_is_nearer_to_the_exact_path():
    """dx/dsigma = x / sigma * k has the solution x ~ sigma^k; the orders differ in how near they come."""
    schedule, power = Schedule("eps"), 0.7

    def error(order):
        denoiser = Denoiser(lambda s, t: s, schedule, 20)
        denoiser.sigmas = [10.0 * 0.8**step for step in range(21)]
        denoiser.__class__ = type("Known", (Denoiser,), {"__call__": lambda self, state, at: (1 - power) * state})
        from restorebench_diffbir.multistep import lms

        found = last(lms(denoiser, torch.ones(1), order))
        return abs(float(found) / 0.8 ** (20 * power) - 1)

    assert error(1) > 2 * error(2) > 0
    assert error(2) > error(3)


def test_two_draws_of_one_step_share_a_brownian_path():
    """The half step's noise is part of the whole step's: their correlation is the square root of its share."""
    schedule = Schedule("eps")
    denoiser = Denoiser(lambda s, t: torch.zeros_like(s), schedule, 4)
    denoiser.sigmas = [2.0, 1.0]
    drawn = []

    def record():
        for each in noise((200_000,)):
            drawn.append(each)
            yield each

    # a denoiser that gives its state back leaves nothing but noise in the result
    kept = type("Kept", (Denoiser,), {"__call__": lambda self, state, at: state})
    denoiser.__class__ = kept
    found = last(sigma.dpmpp_sde(denoiser, torch.zeros(200_000), record(), Stochasticity()))
    whole = found - float(found.mean())
    correlation = float(torch.corrcoef(torch.stack([whole, drawn[0]]))[0, 1])
    middle = math.sqrt(2.0)
    share = (2.0 - middle) / (2.0 - 1.0)
    # the result holds the half step's noise twice: in the state that was evaluated, and in the path
    up_half, up_whole = sigma._split(2.0, middle, 1.0)[1], sigma._split(2.0, 1.0, 1.0)[1]
    down = sigma._split(2.0, 1.0, 1.0)[0]
    first = (1 - down / 2.0) * up_half + up_whole * math.sqrt(share)
    second = up_whole * math.sqrt(1 - share)
    assert correlation == pytest.approx(first / math.hypot(first, second), abs=5e-3)


def test_classifier_free_guidance_leads_from_one_prompt_beyond_the_other():
    told = []

    def network(state, step, positive):
        told.append(positive)
        return torch.full_like(state, 3.0 if positive else 1.0)

    state = torch.zeros(1, 4, 2, 2)
    assert Guided(network, 4.0)(state, 500).unique().tolist() == [9.0]
    assert Guided(network, 1.0)(state, 500).unique().tolist() == [3.0]
    assert told == [True, False, True]
    assert Guided(network, 4.0, ramped=True)(state, 999).unique().tolist() == [3.0]


def test_the_ramp_rises_from_one_to_one_more_than_the_scale():
    assert ramp(4.0, 1000) == 1
    assert ramp(4.0, 0) == pytest.approx(5)
    rising = [ramp(4.0, step) for step in range(1000, -1, -50)]
    assert rising == sorted(rising)


def test_spaced_steps_agree_with_diffusers():
    pytest.importorskip("diffusers", reason="an independent implementation, of the extra [diffbir]")
    from diffusers import DDPMScheduler

    reference = DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        timestep_spacing="linspace",
        variance_type="fixed_small",
        clip_sample=False,
    )
    reference.set_timesteps(10)
    assert reference.timesteps.tolist() == [*reversed(spaced_steps(10))]
    state = theirs = next(noise(seed=1))
    for step in reference.timesteps:
        theirs = reference.step(
            0.3 * theirs, step, theirs, generator=torch.Generator().manual_seed(int(step))
        ).prev_sample

    def drawn():
        for step in reference.timesteps:
            yield torch.randn(state.shape, generator=torch.Generator().manual_seed(int(step)))

    ours = last(samplers.ddpm(lambda s, t: 0.3 * s, spaced(Schedule("eps"), 10), state, drawn()))
    assert torch.allclose(ours, theirs, atol=2e-5)


def test_zero_terminal_signal_is_what_diffusers_rescales_to():
    pytest.importorskip("diffusers", reason="an independent implementation, of the extra [diffbir]")
    from diffusers import DDIMScheduler

    facts = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    reference = DDIMScheduler(**facts, rescale_betas_zero_snr=True)
    ours = torch.from_numpy(Schedule("v").shares).float()
    assert ours[-1] == 0
    assert torch.allclose(ours, reference.alphas_cumprod, atol=1e-5)


@pytest.mark.parametrize("count", [3, 9, 27, 36, 37, 101, 111, 251, 333, 501, 1000])
def test_ddim_refuses_numbers_of_steps_that_leave_the_schedule(count):
    with pytest.raises(ValueError, match="would leave the schedule"):
        ddim_steps(count)


def test_solvers_in_sigma_visit_as_many_steps_as_asked_for():
    for steps in range(1, 1001):
        visited = sigma_steps(steps)
        assert len(visited) == steps + 1
        assert visited[0] == 999
        assert sorted(visited, reverse=True) == [*visited]
