"""The fast solvers: against the posterior sampler, an exact denoiser and the stated orders of convergence."""

from __future__ import annotations

import pytest
import torch
from restorebench_daclip import multistep, samplers, sde
from restorebench_daclip.multistep import level, level_of_log_snr, levels
from restorebench_daclip.samplers import Predictor

from tests.parity.daclip import convergence
from tests.parity.daclip.convergence import (
    DOUBLE,
    main,
    observed_order,
    ode_errors,
    schedule,
    sde_errors,
    two_modes,
)


@pytest.mark.parametrize("form", ["data", "noise"])
@pytest.mark.parametrize("order", [1, 2])
def test_ode_solvers_converge_at_their_order(form, order):
    assert observed_order(ode_errors((160, 320), order, form)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("form", "order"), [("data", 1), ("data", 2), ("noise", 1), ("noise", 2)])
def test_sde_solvers_converge_to_the_spread_of_the_data_at_their_order(form, order):
    assert observed_order(sde_errors((40, 80), order, form)) > order - 0.25  # noise form, order 1: 1.96 here


@pytest.mark.parametrize("form", ["data", "noise"])
def test_both_heads_give_the_same_images(form):
    table = schedule()
    data = two_modes(table)

    def noise_head(state, time):
        here = level(table, time)
        return (state - here.decay * data.network(state, time)) / here.deviation

    start = torch.linspace(-2, 2, 64, dtype=DOUBLE).reshape(1, 1, 1, -1)
    results = [
        samplers.last(multistep.multistep(bound, lambda _: start, levels(table, 10), form=form))
        for bound in (data, Predictor(noise_head, data.degraded, table, "noise"))
    ]
    assert torch.allclose(*results, atol=1e-9)


def test_the_first_order_sde_at_every_step_is_the_posterior_sampler():
    table = schedule()
    generator = torch.Generator().manual_seed(0)
    draws = {key: torch.randn(1, 1, 1, 64, dtype=DOUBLE, generator=generator) for key in range(1, 102)}
    ours = multistep.multistep(two_modes(table), draws.__getitem__, levels(table, 100), order=1, stochastic=True)
    published = samplers.posterior(two_modes(table), lambda key: draws[101 if key == 101 else key - 1 or 1])
    difference = max(float((a - b).abs().max()) for a, b in zip(ours, published, strict=True))
    assert difference < 1e-10


def test_one_evaluation_returns_the_clean_estimate_of_the_start():
    table = schedule()
    start = torch.ones(1, 1, 1, 64, dtype=DOUBLE)
    bound = two_modes(table)
    result = samplers.last(multistep.multistep(bound, lambda _: start, levels(table, 1)))
    assert torch.equal(result, bound.network(start * table.scale, 100.0))


# ---------------------------------------------------------------- grids


def test_levels_at_whole_steps_are_those_of_the_tables():
    table = schedule()
    for step in (1, 17, 100):
        here = level(table, step)
        assert here.decay == pytest.approx(float(table.decay(step)), rel=1e-12)
        assert here.deviation == pytest.approx(float(table.sigma_bar[step]), rel=1e-9)


def test_known_signal_to_noise_ratios():
    table = sde.schedule()
    known = {100: -3.669, 50: 0.680, 10: 3.384, 1: 5.604}
    assert {step: round(level(table, step).log_snr, 3) for step in known} == known


@pytest.mark.parametrize("time", [0.25, 1.0, 3.7, 50.5, 99.999, 100.0])
def test_levels_are_found_again_by_their_ratio(time):
    table = schedule()
    here = level(table, time)
    assert level_of_log_snr(table, here.log_snr).time == pytest.approx(time, rel=1e-6)


@pytest.mark.parametrize("grid", ["time", "log-snr"])
@pytest.mark.parametrize("evaluations", [1, 2, 5, 20, 100])
def test_grids_fall_from_the_last_step(grid, evaluations):
    chosen = levels(sde.schedule(), evaluations, grid)
    times = [each.time for each in chosen]
    assert len(times) == evaluations
    assert times[0] == 100
    assert sorted(times, reverse=True) == times
    assert len(set(times)) == evaluations
    assert times[-1] >= 1


@pytest.mark.parametrize("evaluations", [0, 101])
def test_impossible_numbers_of_evaluations_are_refused(evaluations):
    with pytest.raises(ValueError, match="between 1 and the schedule's 100 steps"):
        levels(sde.schedule(), evaluations)


def test_a_ratio_beyond_the_schedule_is_refused():
    with pytest.raises(ValueError, match="beyond the last step"):
        level_of_log_snr(sde.schedule(), -10)


def test_the_command_prints_every_solver(monkeypatch, capsys):
    monkeypatch.setattr(convergence, "EVALUATIONS", (5, 10))
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 8
    assert lines[2].startswith("| ODE, order 1, data | 1.4e-01 | 6.4e-02 |")
