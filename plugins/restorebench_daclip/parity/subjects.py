"""What is compared, one function per subject; each yields a row per case."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench import TEN
from restorebench.toolbox.clip_images import for_clip
from restorebench_daclip import losses, samplers, sde
from restorebench_daclip.controller import Controller
from restorebench_daclip.parity.fixtures import (
    Fixtures,
    distance,
    nafnet_of,
    noise,
    tensor,
    unet_of,
)
from restorebench_daclip.samplers import Predictor


@dataclass(frozen=True)
class Row:
    """One comparison. error: the greatest absolute difference beyond what may be relative to the value."""

    subject: str
    error: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Tell whether the error is within what is allowed; NaN is not."""
        return self.error <= self.allowed


# ---------------------------------------------------------------- schedule and steps


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
        table = sde.schedule(kind)  # type: ignore[arg-type]  # one of the kinds
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


# ---------------------------------------------------------------- networks


def unet_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare the outputs of a U-Net, without the degradation context and at fractional times too."""
    stored = fixtures.arrays(name)
    unet = fixtures.network(name, unet_of)
    cases = list(dict.fromkeys(key.split("/")[0] for key in stored))
    for case in cases:
        source = case if f"{case}/xt" in stored else cases[0]
        times = [12.5] if case.startswith("float_time") else _times(source)
        image = stored.get(f"{source}/image_context")
        text = None if case == "no_text" else stored.get(f"{source}/text_context")
        contexts = [None if each is None else tensor(each) for each in (image, text)]
        state, mu = tensor(stored[f"{source}/xt"]), tensor(stored[f"{source}/lq"])
        out = unet(state, mu, torch.tensor(times), unet.condition(*contexts))
        yield Row(f"{name} {case}", distance(out, stored[f"{case}/out"], 1e-4), allowed)


def nafnet_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare the outputs of a NAFNet."""
    stored = fixtures.arrays(name)
    nafnet = fixtures.network(name, nafnet_of)
    for case in dict.fromkeys(key.split("/")[0] for key in stored):
        out = nafnet(tensor(stored[f"{case}/xt"]), tensor(stored[f"{case}/lq"]), torch.tensor(_times(case)))
        yield Row(f"{name} {case}", distance(out, stored[f"{case}/out"], 1e-4), allowed)


def _times(case: str) -> list[float]:
    """Read the times off the name of a case such as B2_24x20_t1-99."""
    return [float(time) for time in case.rpartition("_t")[2].split("-")]


# ---------------------------------------------------------------- controller


def controller_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare features, controls, cosines and probabilities; the order of the controls must matter."""
    stored = fixtures.arrays(name)
    controller: Controller = fixtures.network(name, Controller.of)
    size = controller.image_size
    count = len(stored["image_features"])
    images = tensor(stored["image"]) if "image" in stored else noise(f"{name}/image", (count, 3, size, size))
    features = controller.encode_image(images)
    prompts = [task.prompt for task in TEN]
    texts = controller.encode_text(prompts)
    cosines = F.normalize(features.degradation, dim=-1) @ F.normalize(texts, dim=-1).T
    yield Row(f"{name} tokens", float((controller.tokens(prompts) - tensor(stored["tokens"])).abs().max()), 0.0)
    ours = {
        "image_features": features.image,
        "degra_features": features.degradation,
        "plain_image_features": controller.encode_plain_image(images),
        "text_features": texts,
        "caption_features": controller.clip.encode_text(tensor(stored["caption_tokens"])),
        "cosine": cosines,
    }
    for key, value in ours.items():
        yield Row(f"{name} {key}", distance(value, stored[key]), allowed)
    yield Row(f"{name} probs", distance((100 * cosines).softmax(-1), stored["probs"]), 2e-4)
    apart = distance(features.image, stored["wrong_order_image_features"])
    yield Row(f"{name} differs from the wrong order", 0.0 if apart > 0.1 else math.inf, 0.0)


def preprocessing(fixtures: Fixtures) -> Iterator[Row]:
    """Compare images as CLIP takes them, every fourth pixel."""
    stored = fixtures.arrays("clip_preprocess")
    for case in dict.fromkeys(key.split("/")[0] for key in stored):
        image = tensor(stored[f"{case}/rgb"]).permute(2, 0, 1)[None].float() / 255
        ours = for_clip(image, 224)[0, :, ::4, ::4]
        yield Row(f"preprocessing {case}", distance(ours, stored[f"{case}/clip_input_dataset_path"]), 1e-6)


# ---------------------------------------------------------------- losses


def controller_losses(fixtures: Fixtures) -> Iterator[Row]:
    """Compare both contrastive terms and the gradients of all that is trained."""
    stored = fixtures.arrays("daclip_losses")
    controller: Controller = fixtures.network("daclip_tiny", Controller.of)
    controller.freeze()
    features = controller.encode_image(tensor(stored["image"]))
    halves = [controller.clip.encode_text(half) for half in tensor(stored["text"]).long().split(77, dim=1)]
    images, degradations, captions, words = (F.normalize(each, dim=-1) for each in (*features, *halves))
    content = losses.contrastive_loss(images, captions, controller.logit_scale)
    degradation = losses.contrastive_loss(degradations, words, controller.logit_scale)
    (content + degradation).backward()  # type: ignore[no-untyped-call]  # of torch
    for name, ours in (("contrastive_loss", content), ("degra_loss", degradation)):
        yield Row(f"controller {name}", distance(ours.detach(), stored[name], 1e-4), 0.0)
    gradients = {name: each.grad for name, each in controller.named_parameters() if each.grad is not None}
    yield from _gradients("controller", gradients, stored, 1e-4, 1e-7)


def restorer_losses(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the matching loss in all four forms, its gradients, and weights after one step of AdamW."""
    stored = fixtures.arrays("unet_losses")
    unet = fixtures.network("unet_tiny", unet_of)
    clean, mu, image, text = (tensor(stored[key]) for key in ("gt", "lq", "image_context", "text_context"))
    steps = tensor(stored["timesteps"]).long().reshape(-1, 1, 1, 1)
    table = sde.schedule()
    state = sde.marginal(table, clean, mu, steps, noise("loss/z", tuple(clean.shape)))
    predicted = unet(state, mu, steps.flatten().float(), unet.condition(image, text))
    loss = partial(losses.matching_loss, table, predicted, state, mu, clean, steps)
    forms = {"l1_plain": loss(), "l1_weighted": loss(weighted=True)}
    forms |= {"l2_plain": loss("l2"), "l2_weighted": loss("l2", weighted=True)}
    for form, value in forms.items():
        yield Row(f"restorer loss {form}", distance(value.detach(), stored[f"loss_{form}"], 1e-5), 0.0)
    optimiser = torch.optim.AdamW(unet.parameters(), lr=2e-4, betas=(0.9, 0.99), weight_decay=0.0)
    forms["l1_plain"].backward()  # type: ignore[no-untyped-call]  # of torch
    gradients = {name: each.grad.clone() for name, each in unet.named_parameters() if each.grad is not None}
    yield from _gradients("restorer", gradients, stored, 1e-3, 1e-7)
    optimiser.step()
    after = dict(unet.named_parameters())
    for key in [key for key in stored if key.startswith("after_adamw/")]:
        name = key.partition("/")[2]
        sure = gradients[name].abs() > 1e-7  # below, the sign of a gradient is rounding
        worst = float(((after[name].detach() - tensor(stored[key])).abs() * sure).max())
        yield Row(f"restorer {key}", worst, 1e-6)


def _gradients(
    prefix: str, ours: dict[str, Tensor], stored: Any, relative: float, allowed: float
) -> Iterator[Row]:
    names = [str(name) for name in stored["grad_names"]]
    norms = torch.stack([ours[name].norm() if name in ours else torch.tensor(0.0) for name in names])
    worst = distance(norms, stored["grad_norms"], relative)
    yield Row(f"{prefix} norms of {len(names)} gradients", worst, allowed)
    for key in [key for key in stored if key.startswith("grad/")]:
        name = key.partition("/")[2]
        yield Row(f"{prefix} {key}", distance(ours[name], stored[key], relative), allowed)


SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "schedule": schedule_tables,
    "steps": single_steps,
    "toy": toy_runs,
    "preprocessing": preprocessing,
    "controller-losses": controller_losses,
    "restorer-losses": restorer_losses,
}
for _name in ("unet_tiny", "unet_wild_tiny"):
    SUBJECTS[f"run_{_name}"] = partial(tiny_runs, name=_name)
for _size, _allowed in (("tiny", 1e-4), ("full", 3e-4)):
    for _name in ("unet", "unet_wild", "irsde_unet"):
        SUBJECTS[f"{_name}_{_size}"] = partial(unet_outputs, name=f"{_name}_{_size}", allowed=_allowed)
    SUBJECTS[f"refusion_nafnet_{_size}"] = partial(
        nafnet_outputs, name=f"refusion_nafnet_{_size}", allowed=_allowed
    )
for _name, _allowed in (("daclip_tiny", 2e-5), ("daclip_vitb32", 5e-5), ("daclip_vitl14", 5e-5)):
    SUBJECTS[_name] = partial(controller_outputs, name=_name, allowed=_allowed)
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.set_grad_enabled(name.endswith("losses")):
        return list(SUBJECTS[name](fixtures))
