"""Losses, gradients, and weights after one step of the optimiser."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from restorebench_daclip import losses, sde
from restorebench_daclip.controller import Controller
from torch import Tensor

from tests.parity.comparing import Row, distance, tensor
from tests.parity.daclip.fixtures import Fixtures, unet_of
from tests.parity.rule_weights import noise


def controller_losses(fixtures: Fixtures) -> Iterator[Row]:
    """Compare both contrastive terms and the gradients of all trained parameters."""
    stored = fixtures.arrays("daclip_losses")
    controller: Controller = fixtures.network("daclip_tiny", Controller.of)
    controller.freeze()
    features = controller.encode_image(tensor(stored["image"]))
    halves = [controller.encode_tokens(half) for half in tensor(stored["text"]).long().split(77, dim=1)]
    images, degradations, captions, words = (F.normalize(each, dim=-1) for each in (*features, *halves))
    content = losses.contrastive_loss(images, captions, controller.logit_scale)
    degradation = losses.contrastive_loss(degradations, words, controller.logit_scale)
    (content + degradation).backward()
    for name, ours in (("contrastive_loss", content), ("degra_loss", degradation)):
        yield Row(f"controller {name}", distance(ours.detach(), stored[name], 1e-4), 0.0)
    gradients = {name: each.grad for name, each in controller.named_parameters() if each.grad is not None}
    yield from _gradients("controller", gradients, stored)


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
    forms["l1_plain"].backward()
    gradients = {name: each.grad.clone() for name, each in unet.named_parameters() if each.grad is not None}
    yield from _gradients("restorer", gradients, stored)
    optimiser.step()
    after = dict(unet.named_parameters())
    for key in [key for key in stored if key.startswith("after_adamw/")]:
        name = key.partition("/")[2]
        sure = gradients[name].abs() > 1e-7  # below this, rounding decides the sign of a gradient
        worst = float(((after[name].detach() - tensor(stored[key])).abs() * sure).max())
        yield Row(f"restorer {key}", worst, 1e-6)


_GRADIENT = 3e-5
"""The greatest difference of a gradient, relative to its norm. A float32 sum of n terms of either sign errs by
about sqrt(n) roundings of 2^-24: 4e-6 for the 4,096 pixels of these images, and 1.3e-5 after ten such layers.
Twice that is allowed. Single elements are not compared relative to their own size: where the terms of one nearly
cancel, their errors remain."""


def _gradients(prefix: str, ours: dict[str, Tensor], stored: Any) -> Iterator[Row]:
    names = [str(name) for name in stored["grad_names"]]
    norms = torch.stack([ours[name].norm() if name in ours else torch.tensor(0.0) for name in names]).double()
    published = tensor(stored["grad_norms"]).double()
    same = (norms == 0) & (published == 0)  # parameters that the loss does not depend on
    apart = torch.where(same, 0.0, (norms - published).abs() / published)
    yield Row(f"{prefix} norms of {len(names)} gradients, relative", float(apart.max()), _GRADIENT)
    for key in [key for key in stored if key.startswith("grad/")]:
        theirs = tensor(stored[key])
        error = float((ours[key.partition("/")[2]] - theirs).norm() / theirs.norm())
        yield Row(f"{prefix} {key}, relative", error, _GRADIENT)
