"""Comparisons without networks: schedules, samplers with a closed form, guidance, and operations on images."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from restorebench_diffbir import colour, schedule, sizes, steps, windows
from restorebench_diffbir.guidance import Decoder, Guidance, weight_map
from restorebench_diffbir.samplers import Guided
from restorebench_diffbir.sampling import Sampling, states
from restorebench_diffbir.schedule import Parameterisation, Schedule
from restorebench_diffbir.sigma import Stochasticity
from torch import Tensor
from torch.nn import functional

from tests.parity.comparing import Fixtures, Row
from tests.parity.diffbir.fixtures import absolute, draws, equal, relative, same, tensors

SCALE = 4.0
_RUN = re.compile(r"(?P<kind>eps|v)\.(?P<sampler>.+?)\.(?P<steps>\d+)(\.(?P<tag>\w+))?\.final")
_SPACED = {
    "posterior_variance": "variance",
    "posterior_mean_coef1": "first",
    "posterior_mean_coef2": "second",
}


def schedules(fixtures: Fixtures) -> Iterator[Row]:
    """Compare both schedules, the steps that samplers visit, and the ramp of the guidance scale."""
    stored = tensors(fixtures, "schedules")
    kinds: tuple[Parameterisation, ...] = ("eps", "v")
    for kind in kinds:
        made = Schedule(kind)
        yield absolute(f"{kind} betas", torch.from_numpy(made.betas), stored[f"{kind}.betas"], 1e-12)
        yield absolute(f"{kind} shares", torch.from_numpy(made.shares), stored[f"{kind}.alphas_cumprod"], 1e-12)
        table = schedule.spaced(made, 50)
        names = dict(_SPACED)
        if kind == "eps":
            names |= {"sqrt_recip_alphas_cumprod": "to_clean", "sqrt_recipm1_alphas_cumprod": "from_output"}
        else:
            names |= {"sqrt_alphas_cumprod": "to_clean", "sqrt_one_minus_alphas_cumprod": "from_output"}
        for theirs, attribute in names.items():
            yield relative(
                f"{kind} spaced {theirs}", getattr(table, attribute), stored[f"{kind}.spaced50.{theirs}"], 1e-6
            )
        for count in (4, 10, 20, 50):
            ours = schedule.sigmas(made, count)
            yield relative(f"{kind} sigmas of {count}", ours, stored[f"{kind}.edm{count}.sigmas"], 1e-6)
    visited = {"spaced": steps.spaced_steps, "ddim": steps.ddim_steps, "edm": steps.sigma_steps}
    for key, expected in stored.items():
        if found := re.fullmatch(r"([a-z]+)(\d+)\.timesteps", key):
            yield equal(f"{found[1]} steps of {found[2]}", visited[found[1]](int(found[2])), expected)
    at = stored["rescale_cfg_4.at_model_t"].tolist()
    ours = torch.tensor([schedule.ramp(SCALE, step) for step in at], dtype=torch.float64)
    yield absolute("ramp of guidance", ours, stored["rescale_cfg_4.scale"], 1e-12)


def trajectories(fixtures: Fixtures) -> Iterator[Row]:
    """Compare every sampler's result, its states where they are stored, and the steps at which it evaluates."""
    stored = tensors(fixtures, "trajectories")
    for key in stored:
        if found := _RUN.fullmatch(key):
            yield from _run(stored, key.removesuffix(".final"), found)


def _run(stored: dict[str, Tensor], name: str, found: re.Match[str]) -> Iterator[Row]:
    evaluated: list[float] = []

    def network(state: Tensor, step: float, positive: bool) -> Tensor:
        evaluated.append(step)
        text = stored["c_txt" if positive else "uncond_c_txt"].mean(dim=(1, 2)).view(-1, 1, 1, 1)
        wave = 0.05 * torch.cos(torch.tensor(0.01 * step))
        return 0.3 * state + 0.2 * stored["c_img"] + 0.1 * text + wave

    output = Guided(network, 1.0 if found["tag"] == "nocfg" else SCALE, ramped=found["tag"] == "rescale")
    sampler = found["sampler"].removeprefix("edm_").replace("_", "-")
    sampling = Sampling(sampler, int(found["steps"]), Stochasticity(independent=True))
    noise = draws("diffbir.traj.noise", stored["x_T"].shape)
    made = Schedule("v" if found["kind"] == "v" else "eps")
    visited = list(states(sampling, output, made, stored["x_T"], noise))
    allowed = 1e-5 if sampler in ("spaced", "ddim") else 1e-4
    yield relative(f"{name} final", visited[-1], stored[f"{name}.final"], allowed)
    if f"{name}.steps" in stored:
        yield relative(f"{name} states", torch.stack(visited), stored[f"{name}.steps"], allowed)
    # both prompts may be evaluated at once, or only the positive one, where the ramp is at 1
    ours, theirs = (torch.tensor(_changes(each)) for each in (evaluated, stored[f"{name}.t_calls"].tolist()))
    yield absolute(f"{name} steps told", ours, theirs, 1e-3)
    if sampler not in ("dpm++-m2", "lms", "dpm++-2m"):
        drawn = draws("diffbir.traj.noise", stored["x_T"].shape)
        for _ in range(int(stored[f"{name}.noise_calls"])):
            next(drawn)
        yield same(f"{name} draws", torch.equal(next(noise), next(drawn)))


def _changes(values: list[float]) -> list[float]:
    """Leave out values that repeat the one before."""
    return [value for index, value in enumerate(values) if not index or value != values[index - 1]]


def guidance(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the weights, the pull on an image, and guided steps through a linear decoder."""
    stored = tensors(fixtures, "guidance")
    weights = weight_map(stored["target"])
    yield absolute("guidance weights", weights, stored["weight_map"], 2e-6)
    for name, each in (("wmse", weights), ("mse", None)):
        plain = Guidance(stored["target"], each, None, 0.5, torch.ones(1), (0,))
        pull, loss = plain.pull(stored["pred"])
        yield relative(f"guidance {name} pull", pull, stored[f"{name}.delta"], 1e-5)
        yield relative(f"guidance {name} loss", loss.view(1), stored[f"{name}.loss"], 1e-5)
    table = schedule.spaced(Schedule("eps"), 50)
    limited = Guidance(stored["target"], None, None, 1.0, table.first, table.steps, start=600, stop=200)
    ours = [int(limited.acts(index)) for index in range(50)]
    yield equal("guidance when it acts", ours, stored["applied_mask.start600_stop200"])

    def decode(latent: Tensor) -> Tensor:
        colours = torch.einsum("rc,bchw->brhw", stored["rgb_from_z"], latent / 0.18215)
        return functional.interpolate(colours, scale_factor=8, mode="nearest")

    yield from guided_steps(stored, "linear", decode)


def guided_steps(stored: dict[str, Tensor], decoder: str, decode: Decoder) -> Iterator[Row]:
    """Compare the clean latent, the posterior mean and the loss of all guided steps through one decoder."""
    table = schedule.spaced(Schedule("eps"), 50)
    weights = {"wmse": weight_map(stored["target"]), "mse": None}
    for key in stored:
        found = re.fullmatch(rf"{decoder}\.(\w+)\.idx(\d+)(\.repeat(\d))?\.z0_new", key)
        if not found:
            continue
        name, index, repeats = key.removesuffix(".z0_new"), int(found[2]), int(found[4] or 1)
        held = weights[found[1]]
        guide = Guidance(stored["target"], held, decode, 0.002, table.first, table.steps, repeats=repeats)
        # three repeats through the linear decoder diverge, on purpose
        allowed = 1e-3 if decoder == "linear" and repeats > 1 else 1e-4
        clean, losses = stored["z0"], []
        for _ in range(repeats):
            losses.append(guide.pull(clean)[1])
            clean = clean + guide.pull(clean)[0] / table.first[index]
        moved = guide(stored["z0"], index)
        yield same(f"{name} repeats", torch.allclose(moved, clean))
        mean = table.first[index] * moved + table.second[index] * stored["x_t"]
        yield relative(f"{name} latent", moved, stored[f"{name}.z0_new"], allowed)
        yield relative(f"{name} posterior mean", mean, stored[f"{name}.posterior_mean"], allowed)
        yield relative(f"{name} loss", torch.stack(losses).mean().view(1), stored[f"{name}.loss"], allowed)


def image_ops(fixtures: Fixtures) -> Iterator[Row]:
    """Compare colour transfer, windows and their blending, resizing and padding."""
    stored = tensors(fixtures, "image_ops")
    content, style = stored["wavelet.content"], stored["wavelet.style"]
    low = colour.low_frequencies(content)
    yield absolute("wavelet low", low, stored["wavelet.low"], 2e-6)
    yield absolute("wavelet high", content - low, stored["wavelet.high"], 2e-6)
    yield absolute("wavelet out", colour.wavelet(content, style), stored["wavelet.out"], 2e-6)
    yield absolute("bell 64x64", windows.bell(64, 64), stored["gauss.64"], 2e-6)
    yield absolute("bell 8x8", windows.bell(8, 8), stored["gauss.8x8"], 2e-6)
    for key, theirs in stored.items():
        if found := re.fullmatch(r"windows\.(\d+)x(\d+)\.(\d+)\.(\d+)", key):
            height, width, size, stride = map(int, found.groups())
            yield equal(key, windows.windows(height, width, size, stride), theirs)
    image = stored["tile.x"]

    def tile(window: windows.Window) -> Tensor:
        cut = image[..., window[0] : window[1], window[2] : window[3]]
        return torch.tanh(2 * cut) + cut.mean(dim=(-2, -1), keepdim=True)

    yield absolute("blended bell", windows.blended(image, 16, 8, tile), stored["tile.gauss"], 1e-5)
    uniform = windows.blended(image, 16, 8, tile, weights="uniform")
    yield absolute("blended uniform", uniform, stored["tile.uniform"], 1e-5)
    corner = image[:, :3, :24, :24]

    def larger(window: windows.Window) -> Tensor:
        cut = corner[..., window[0] : window[1], window[2] : window[3]]
        return functional.interpolate(cut, scale_factor=4, mode="nearest") + cut.mean(dim=(-2, -1), keepdim=True)

    yield absolute("blended x4", windows.blended(corner, 16, 8, larger, scale=4), stored["tile.up4"], 1e-5)
    given = stored["resize.x"]
    yield absolute("short edge 48", sizes.short_edge(given, 48), stored["resize.short_edge_48"], 2e-6)
    yield absolute("padded to 64", sizes.padded(given, 64), stored["pad.64"], 2e-6)
    yield absolute("resized to 13x17", sizes.resized(given, 13, 17), stored["down.13x17"], 2e-6)
